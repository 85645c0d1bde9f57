"""Kubernetes' Pod Security level `restricted`, as a list of what a pod does against it."""

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
PROFILES = ("RuntimeDefault", "Localhost")


def violations(spec):
    """What the level forbids, in words; empty if the pod may run."""
    pod = spec.get("securityContext") or {}
    found = [name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    found += [f"volume {volume['name']}" for volume in spec.get("volumes", []) if not (set(volume) - {"name"}) <= VOLUMES]
    if pod.get("sysctls"):
        found.append("sysctls")
    containers = spec["containers"] + spec.get("initContainers", []) + spec.get("ephemeralContainers", [])
    for container in containers:
        found += [f"{container['name']}: {fault}" for fault in container_faults(container, pod)]
    return found


def container_faults(container, pod):
    own = container.get("securityContext") or {}
    capabilities = own.get("capabilities") or {}
    either = {**pod, **own}
    rules = {
        "privileged": own.get("privileged"),
        "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is not False,
        "runAsNonRoot": either.get("runAsNonRoot") is not True,
        "runAsUser": either.get("runAsUser") == 0,
        "seccompProfile": (either.get("seccompProfile") or {}).get("type") not in PROFILES,
        "capabilities kept": "ALL" not in capabilities.get("drop", []),
        "capabilities added": set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"},
        "procMount": own.get("procMount", "Default") != "Default",
        "hostPort": any(port.get("hostPort") for port in container.get("ports", [])),
        "seLinuxOptions": {"user", "role"} & set(either.get("seLinuxOptions") or {}),
    }
    return [name for name, broken in rules.items() if broken]
