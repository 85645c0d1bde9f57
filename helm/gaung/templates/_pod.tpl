{{/* The parts of the pods. */}}

{{/* The selector's labels and the user's, nothing that a new chart changes: that would restart every socket. */}}
{{- define "gaung.podLabels" -}}
{{- $own := include "gaung.selectorLabels" . | fromYaml -}}
{{- toYaml (merge $own .Values.podLabels) -}}
{{- end -}}

{{- define "gaung.podAnnotations" -}}
{{- $own := dict -}}
{{- if .Values.config -}}
{{- $_ := set $own "checksum/config" (include "gaung.config" . | sha256sum) -}}
{{- end -}}
{{- if and .Values.apps.inline .Values.apps.restartOnChange -}}
{{- $_ := set $own "checksum/apps" (toJson .Values.apps.inline | sha256sum) -}}
{{- end -}}
{{- if .Values.nats.enabled -}}
{{- with include "gaung-nats.loginChecksum" .Subcharts.nats }}{{ $_ := set $own "checksum/nats-login" . }}{{ end -}}
{{- end -}}
{{- if .Values.metrics.annotations -}}
{{- $_ := set $own "prometheus.io/scrape" "true" -}}
{{- $_ := set $own "prometheus.io/port" (.Values.server.metricsPort | int | toString) -}}
{{- $_ := set $own "prometheus.io/path" "/metrics" -}}
{{- end -}}
{{- with merge (dict) .Values.podAnnotations $own -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{/* What the pod of the server and that of the test have in common. Without `enableServiceLinks: false` a Service called
gaung would become variables like GAUNG_PORT, which the server reads. */}}
{{- define "gaung.podBasics" -}}
serviceAccountName: {{ include "gaung.serviceAccountName" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "gaung.securityContext" (list . .Values.podSecurityContext) | nindent 2 }}
{{- include "gaung.pullSecrets" (list . .Values.image.pullSecrets) }}
{{- with .Values.hostAliases }}
hostAliases:
  {{- tpl (toYaml .) $ | nindent 2 }}
{{- end }}
{{- with .Values.dnsPolicy | default (ternary "ClusterFirstWithHostNet" "" .Values.hostNetwork) }}
dnsPolicy: {{ . }}
{{- end }}
{{- range $field := list "dnsConfig" "runtimeClassName" "schedulerName" }}
{{- with get $.Values $field }}
{{ toYaml (dict $field .) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Takes a list: the root, a security context. OpenShift gives users and groups out itself, and refuses others. NATS'
pods have theirs from here too. */}}
{{- define "gaung.securityContext" -}}
{{- $root := index . 0 -}}
{{- $adapt := dig "compatibility" "openshift" "adaptSecurityContext" "auto" $root.Values.global -}}
{{- $isOpenShift := $root.Capabilities.APIVersions.Has "security.openshift.io/v1" -}}
{{- $context := index . 1 -}}
{{- if or (eq $adapt "force") (and (eq $adapt "auto") $isOpenShift) -}}
{{- $context = omit $context "runAsUser" "runAsGroup" "fsGroup" -}}
{{- end -}}
{{- toYaml $context -}}
{{- end -}}

{{- define "gaung.container" -}}
image: {{ include "gaung.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- include "gaung.securityContext" (list . .Values.securityContext) | nindent 2 }}
ports:
  - name: {{ include "gaung.portName" . }}
    containerPort: {{ .Values.server.port | int }}
    protocol: TCP
  - name: admin
    containerPort: {{ .Values.server.metricsPort | int }}
    protocol: TCP
env:
  {{- include "gaung.env" . | trim | nindent 2 }}
{{- if or .Values.config .Values.extraEnvFrom }}
envFrom:
  {{- if .Values.config }}
  - configMapRef:
      name: {{ include "gaung.fullname" . }}
  {{- end }}
  {{- with .Values.extraEnvFrom }}
  {{- tpl (toYaml .) $ | nindent 2 }}
  {{- end }}
{{- end }}
{{- /* A node in a cluster is in step after 2.7 s; a look before that writes a warning, and so does one at a node that drains. */ -}}
{{- $inStep := ternary 5 0 (not (empty (include "gaung.clustered" .))) -}}
{{- range $kind, $path := dict "startup" "/livez" "liveness" "/livez" "readiness" "/readyz?exclude=draining" }}
{{- with index $.Values.probes $kind }}
{{- $delay := ternary $inStep .initialDelaySeconds (kindIs "invalid" .initialDelaySeconds) | int }}
{{- if .enabled }}
{{ $kind }}Probe:
  httpGet:
    path: {{ $path }}
    port: admin
  {{- toYaml (merge (dict "initialDelaySeconds" $delay) (omit . "enabled")) | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
{{- with include "gaung.lifecycle" . | fromYaml }}
lifecycle:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  {{- if include "gaung.storesApps" . }}
  - name: apps-cache
    mountPath: /var/cache/gaung
  {{- else }}
  - name: apps
    mountPath: /etc/gaung/apps
    readOnly: true
  {{- end }}
  {{- if include "gaung.clustered" . }}
  - name: cluster
    mountPath: /etc/gaung/cluster
    readOnly: true
  {{- end }}
  {{- with include "gaung.secretMounts" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- tpl (toYaml .) $ | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* The operator's hooks, and the wait before SIGTERM where none of theirs takes its place. */}}
{{- define "gaung.lifecycle" -}}
{{- $hooks := tpl (toYaml .Values.lifecycle) . | fromYaml -}}
{{- $wait := .Values.drain.propagationSeconds | int -}}
{{- if and $wait (not $hooks.preStop) -}}
{{- $_ := set $hooks "preStop" (dict "sleep" (dict "seconds" $wait)) -}}
{{- end -}}
{{- toYaml $hooks -}}
{{- end -}}

{{/* With TLS the port is called after it, since some routes go by its name. */}}
{{- define "gaung.portName" -}}
{{- ternary "https" "http" (not (empty .Values.server.tls.existingSecret)) -}}
{{- end -}}

{{/* What is mounted beside the apps: certificates, and NATS' credentials file. */}}
{{- define "gaung.secretMounts" -}}
{{- range $name, $secret := include "gaung.secrets" . | fromYaml }}
- name: {{ $name }}
  mountPath: /etc/gaung/{{ $name }}
  readOnly: true
{{- end }}
{{- end -}}

{{/* Their secrets by the names of the volumes. */}}
{{- define "gaung.secrets" -}}
{{- with .Values.server.tls.existingSecret }}
tls: {{ tpl . $ | quote }}
{{- end }}
{{- with .Values.cluster.nats }}
{{- with .tls.existingSecret }}
nats-tls: {{ tpl . $ | quote }}
{{- end }}
{{- if and .existingSecret (eq .auth "credentials") }}
nats: {{ tpl .existingSecret $ | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The apps are mounted as a folder, never as a subPath: Kubernetes updates only folders. Those of NATS that are known last
outlive a container that starts again. */}}
{{- define "gaung.volumes" -}}
{{- if include "gaung.storesApps" . }}
- name: apps-cache
  emptyDir:
    sizeLimit: 64Mi
{{- else }}
{{ include "gaung.appsVolume" . }}
{{- end }}
{{- if include "gaung.clustered" . }}
- name: cluster
  configMap:
    name: {{ include "gaung.fullname" . }}-cluster
{{- end }}
{{- range $name, $secret := include "gaung.secrets" . | fromYaml }}
- name: {{ $name }}
  secret:
    secretName: {{ $secret | quote }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ tpl (toYaml .) $ }}
{{- end }}
{{- end -}}

{{- define "gaung.appsVolume" -}}
- name: apps
  secret:
    secretName: {{ include "gaung.appsSecretName" . | quote }}
    items:
      - key: {{ include "gaung.appsKey" . | quote }}
        path: apps.json
{{- end -}}

{{/* The API refuses rollingUpdate beside Recreate, also where it is only the chart's own default. */}}
{{- define "gaung.strategy" -}}
{{- $strategy := .Values.updateStrategy -}}
{{- toYaml (ternary (omit $strategy "rollingUpdate") $strategy (eq $strategy.type "Recreate")) -}}
{{- end -}}

{{- define "gaung.spread" -}}
{{- if kindIs "slice" .Values.topologySpreadConstraints -}}
{{- tpl (toYaml .Values.topologySpreadConstraints) . -}}
{{- else -}}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "gaung.selectorLabels" $ | nindent 6 }}
  matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end -}}
{{- end -}}
