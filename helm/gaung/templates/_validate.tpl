{{/* Choices that do not go together are refused, all at once, each with a sentence that says what to set. */}}

{{- define "gaung.validate" -}}
{{- $problems := print (include "gaung.problems.nodes" .) (include "gaung.problems.streams" .) (include "gaung.problems.apps" .) (include "gaung.problems.settings" .) (include "gaung.problems.scaling" .) (include "gaung.problems.objects" .) (include "gaung.problems.pods" .) | trim -}}
{{- if $problems -}}
{{- fail (printf "these values do not work:\n\n%s\n" $problems) -}}
{{- end -}}
{{- end -}}

{{- define "gaung.problems.nodes" -}}
{{- $nats := .Values.cluster.nats -}}
{{- $clustered := include "gaung.clustered" . -}}
{{- if and (gt (include "gaung.maxReplicas" . | int) 1) (not $clustered) }}
- {{ include "gaung.maxReplicas" . }} nodes need NATS between them: set nats.enabled=true or cluster.nats.urls, or replicaCount=1
{{- end }}
{{- if and .Values.nats.enabled $nats.urls }}
- nats.enabled and cluster.nats.urls are both set: set the one that is to be used
{{- end }}
{{- if and .Values.nats.enabled (include "gaung-nats.wouldForget" .Subcharts.nats) }}
- no cluster is seen here, as with helm template and Argo CD, so that each rendering would draw another password for NATS: make a secret with the keys {{ .Subcharts.nats.Values.auth.userKey }} and {{ .Subcharts.nats.Values.auth.passwordKey }} and set nats.auth.existingSecret to its name. To look at the objects only, set any name, or use --dry-run=server
{{- end }}
{{- range $nats.urls }}
{{- if contains "@" . }}
- an address in cluster.nats.urls has a login: put it into a secret and set cluster.nats.existingSecret
{{- end }}
{{- end }}
{{- if and (not $nats.urls) (or $nats.existingSecret $nats.tls.enabled $nats.tls.existingSecret) }}
- cluster.nats.existingSecret and cluster.nats.tls are for cluster.nats.urls: set those, or for nats.enabled the values below nats
{{- end }}
{{- if and $nats.tls.clientCertificate (not $nats.tls.existingSecret) }}
- cluster.nats.tls.clientCertificate needs the certificate: set cluster.nats.tls.existingSecret
{{- end }}
{{- if and .Values.tests.caKey (not .Values.server.tls.existingSecret) }}
- tests.caKey is a key of server.tls.existingSecret: set that, or leave tests.caKey empty
{{- end }}
{{- if lt (include "gaung.gracePeriod" . | int) (include "gaung.drainSeconds" . | int) }}
- terminationGracePeriodSeconds is {{ include "gaung.gracePeriod" . }}, but a drain may take {{ include "gaung.drainSeconds" . }} s: leave it unset, or set drain.windowSeconds lower
{{- end }}
{{- end -}}

{{- define "gaung.problems.streams" -}}
{{- $clustered := include "gaung.clustered" . -}}
{{- if and (include "gaung.webhookStream" .) (not $clustered) }}
- webhooks.stream lies in NATS: set nats.enabled=true or cluster.nats.urls, or leave it empty
{{- end }}
{{- if include "gaung.historyStream" . }}
{{- if not $clustered }}
- history.stream lies in NATS: set nats.enabled=true or cluster.nats.urls, or leave it unset
{{- end }}
{{- if and .Values.nats.enabled (not (include "gaung.hasJetStream" .)) }}
- history.stream needs JetStream: set nats.jetstream.enabled=true, or leave history.stream unset
{{- end }}
{{- if include "gaung.hasJetStream" . }}
{{- $file := .Subcharts.nats.Values.jetstream.file -}}
{{- if gt (mul 2097152 (int64 .Values.history.streamMB)) (include "gaung.bytes" $file | int64) }}
- history.streamMB is {{ .Values.history.streamMB }}, more than half of nats.jetstream.file, {{ $file }}, where webhooks wait too: set it lower, or set a larger nats.jetstream.file
{{- end }}
{{- $servers := .Subcharts.nats.Values.replicaCount | int -}}
{{- if gt (include "gaung.streamReplicas" (list . .Values.history) | int) $servers }}
- history.streamReplicas is {{ .Values.history.streamReplicas }}, more than nats.replicaCount, {{ $servers }}: leave it unset
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "gaung.problems.apps" -}}
{{- if include "gaung.storesApps" . }}
{{- if or .Values.apps.existingSecret .Values.apps.inline }}
- apps.store.existingSecret and an apps file are both set: import the file once, and leave apps.existingSecret and apps.inline empty
{{- end }}
{{- if not (include "gaung.clustered" .) }}
- apps.store lies in NATS: set nats.enabled=true or cluster.nats.urls, or leave apps.store.existingSecret empty
{{- end }}
{{- if and .Values.nats.enabled (not (include "gaung.hasJetStream" .)) }}
- apps.store needs JetStream: set nats.jetstream.enabled=true, or leave apps.store.existingSecret empty
{{- end }}
{{- if include "gaung.hasJetStream" . }}
{{- $servers := .Subcharts.nats.Values.replicaCount | int -}}
{{- if gt (include "gaung.streamReplicas" (list . .Values.apps.store) | int) $servers }}
- apps.store.streamReplicas is {{ .Values.apps.store.streamReplicas }}, more than nats.replicaCount, {{ $servers }}: leave it unset
{{- end }}
{{- end }}
{{- else if not (or .Values.apps.existingSecret .Values.apps.inline) }}
- no app is served: set apps.existingSecret to a secret with the apps file, or apps.inline
{{- end }}
{{- if and .Values.apps.existingSecret .Values.apps.inline }}
- apps.existingSecret and apps.inline are both set: set the one that is to be used
{{- end }}
{{- end -}}

{{/* Settings that belong to a value. */}}
{{- define "gaung.ownSettings" -}}
- {name: GAUNG_HOST, value: server.host}
- {name: GAUNG_ADMIN_HOST, value: server.host}
- {name: GAUNG_PORT, value: server.port}
- {name: GAUNG_ADMIN_PORT, value: server.metricsPort}
- {name: GAUNG_PATH_PREFIX, value: server.pathPrefix}
- {name: GAUNG_TLS_CERT, value: server.tls.existingSecret}
- {name: GAUNG_TLS_KEY, value: server.tls.existingSecret}
- {name: GAUNG_DRAIN_SECONDS, value: drain.windowSeconds}
- {name: GAUNG_DRAIN_LAG_SECONDS, value: drain.lagSeconds}
- {name: GAUNG_MAX_CONNECTIONS, value: server.maxConnections}
- {name: GAUNG_MAX_MEMORY_MB, value: server.maxMemoryMB}
- {name: GAUNG_READY_WITHOUT_NATS, value: server.readyWithoutNats}
- {name: GAUNG_NATS_URL, value: cluster.nats.urls}
- {name: GAUNG_NATS_USER, value: cluster.nats.existingSecret}
- {name: GAUNG_NATS_PASSWORD, value: cluster.nats.existingSecret}
- {name: GAUNG_NATS_TOKEN, value: cluster.nats.existingSecret}
- {name: GAUNG_NATS_CREDENTIALS, value: cluster.nats.existingSecret}
- {name: GAUNG_NATS_TLS, value: cluster.nats.tls.enabled}
- {name: GAUNG_NATS_CA, value: cluster.nats.tls.existingSecret}
- {name: GAUNG_NATS_CERT, value: cluster.nats.tls.clientCertificate}
- {name: GAUNG_NATS_KEY, value: cluster.nats.tls.clientCertificate}
- {name: GAUNG_CLUSTER_NAME, value: cluster.name}
- {name: GAUNG_CLUSTER_NODES, value: replicaCount}
- {name: GAUNG_CLUSTER_NODES_FILE, value: replicaCount}
- {name: GAUNG_WEBHOOK_STREAM, value: webhooks.stream}
- {name: GAUNG_WEBHOOK_STREAM_REPLICAS, value: webhooks.streamReplicas}
- {name: GAUNG_REBALANCE_ABOVE, value: rebalance.above}
- {name: GAUNG_REBALANCE_PERCENT, value: rebalance.percent}
- {name: GAUNG_HISTORY_STREAM, value: history.stream}
- {name: GAUNG_HISTORY_STREAM_REPLICAS, value: history.streamReplicas}
- {name: GAUNG_HISTORY_STREAM_MB, value: history.streamMB}
- {name: GAUNG_APPS_FILE, value: apps.existingSecret}
- {name: GAUNG_APPS_STORE, value: apps.store.existingSecret}
- {name: GAUNG_APPS_STORE_KEY, value: apps.store.existingSecret}
- {name: GAUNG_APPS_STORE_REPLICAS, value: apps.store.streamReplicas}
- {name: GAUNG_APPS_CACHE, value: apps.store.existingSecret}
{{- end -}}

{{- define "gaung.problems.settings" -}}
{{- $own := dict -}}
{{- range include "gaung.ownSettings" . | fromYamlArray }}{{ $_ := set $own .name .value }}{{ end -}}
{{- $names := keys .Values.config | sortAlpha -}}
{{- range .Values.extraEnv }}{{ $names = append $names .name }}{{ end -}}
{{- range $names }}
{{- if hasKey $own . }}
- {{ . }} is set by the chart: set {{ get $own . }}
{{- else if hasPrefix "GAUNG_APP_" . }}
- {{ . }} belongs into the apps file: set apps.existingSecret or apps.inline
{{- else if and (not (include "gaung.clustered" $)) (regexMatch "^GAUNG_(CLUSTER_|NATS_|MAX_QUEUED_BUS_EVENT(S|_BYTES)$)" .) }}
- {{ . }} is for many nodes: set nats.enabled=true or cluster.nats.urls, or leave it out
{{- end }}
{{- end }}
{{- if hasKey .Values.config "GAUNG_ADMIN_TOKEN" }}
- GAUNG_ADMIN_TOKEN is a secret, and config is none: set it in extraEnv, from a secret
{{- end }}
{{- if eq (int .Values.server.port) (int .Values.server.metricsPort) }}
- server.port and server.metricsPort are the same: set two
{{- end }}
{{- end -}}

{{- define "gaung.problems.scaling" -}}
{{- $hpa := .Values.autoscaling -}}
{{- if and $hpa.enabled .Values.keda.enabled }}
- autoscaling.enabled and keda.enabled are both set: set the one that is to be used
{{- end }}
{{- if $hpa.enabled }}
{{- if gt (int $hpa.minReplicas) (int $hpa.maxReplicas) }}
- autoscaling.minReplicas is {{ $hpa.minReplicas }}, more than maxReplicas, {{ $hpa.maxReplicas }}: set it lower
{{- end }}
{{- if not (or $hpa.connections.enabled $hpa.cpu.enabled $hpa.memory.enabled $hpa.customMetrics) }}
- autoscaling has nothing to go by: set autoscaling.connections.enabled=true
{{- end }}
{{- if $hpa.connections.enabled }}
{{- include "gaung.problems.aim" (list . "autoscaling.connections.averageValue" $hpa.connections.averageValue) }}
{{- end }}
{{- range list "cpu" "memory" }}
{{- if and (index $hpa .).enabled (not (dig "requests" . "" $.Values.resources)) (not (dig "limits" . "" $.Values.resources)) }}
- autoscaling.{{ . }} is a part of the request, and there is none: set resources.requests.{{ . }}, or autoscaling.{{ . }}.enabled=false
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.keda.enabled }}
{{- if gt (int .Values.keda.minReplicaCount) (int .Values.keda.maxReplicaCount) }}
- keda.minReplicaCount is {{ .Values.keda.minReplicaCount }}, more than maxReplicaCount, {{ .Values.keda.maxReplicaCount }}: set it lower
{{- end }}
{{- if not (or .Values.keda.prometheus.serverAddress .Values.keda.triggers) }}
- KEDA has nobody to ask: set keda.prometheus.serverAddress or keda.triggers
{{- end }}
{{- if .Values.keda.prometheus.serverAddress }}
{{- include "gaung.problems.aim" (list . "keda.prometheus.threshold" .Values.keda.prometheus.threshold) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Nodes that aim at more sockets than they take are all full before there is another. Takes a list: the root, the
value's name, the value. Those that are no plain number, as `5k`, are not looked at. */}}
{{- define "gaung.problems.aim" -}}
{{- $aim := include "gaung.plain" (index . 2) -}}
{{- $full := div (mul (int (index . 0).Values.server.maxConnections) 9) 10 -}}
{{- if and $full (regexMatch "^[0-9]+$" $aim) (ge (int64 $aim) $full) }}
- {{ index . 1 }} is {{ $aim }}, but a node is full at {{ $full }}, 90 % of server.maxConnections: set it lower
{{- end }}
{{- end -}}

{{/* What would break the drain, or the way to NATS. */}}
{{- define "gaung.problems.pods" -}}
{{- range $name, $hook := .Values.lifecycle }}
{{- $command := dig "exec" "command" list $hook }}
{{- if and $command (has (base (first $command)) (list "sh" "ash" "bash" "dash" "busybox" "sleep")) }}
- lifecycle.{{ $name }} runs {{ first $command }}, and there is neither a shell nor a tool in the image: set httpGet, or a command that the image has
{{- end }}
{{- end }}
{{- with .Values.lifecycle.preStop }}
{{- if .sleep }}
- lifecycle.preStop.sleep would not be counted in the grace period: set drain.propagationSeconds instead
{{- end }}
{{- if not (int $.Values.drain.propagationSeconds) }}
- lifecycle.preStop takes its time from the drain: set drain.propagationSeconds to how long it may take
{{- end }}
{{- end }}
{{- if .Values.hostNetwork }}
{{- if .Values.networkPolicy.enabled }}
- networkPolicy does not hold for pods with hostNetwork: set networkPolicy.enabled=false, and close the machines' ports {{ .Values.server.port }} and {{ .Values.server.metricsPort }} yourself
{{- end }}
{{- if .Values.nats.enabled }}
{{- with .Subcharts.nats.Values.networkPolicy }}
{{- if and .enabled (not .extraIngress) }}
- NATS' policy lets pods in, and with hostNetwork the nodes come from their machines' addresses: set nats.networkPolicy.extraIngress to those, or nats.networkPolicy.enabled=false
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.nats.enabled }}
{{- $theirs := include "gaung-nats.namespace" .Subcharts.nats }}
{{- if ne $theirs (include "gaung.namespace" .) }}
- NATS would be in the namespace {{ $theirs }}, the nodes in {{ include "gaung.namespace" . }}, and its secret in one of them: set nats.namespaceOverride and namespaceOverride to the same
{{- end }}
{{- end }}
{{- end -}}

{{- define "gaung.problems.objects" -}}
{{- if not (regexMatch "^[a-z]" (include "gaung.fullname" .)) }}
- no Service can be called {{ include "gaung.fullname" . }}: set fullnameOverride to a name that begins with a lower-case letter
{{- end }}
{{- with .Values.service }}
{{- if and .healthCheckNodePort (not (and (eq .type "LoadBalancer") (eq .externalTrafficPolicy "Local"))) }}
- service.healthCheckNodePort is for load balancers that keep the client's address: set service.type=LoadBalancer and service.externalTrafficPolicy=Local
{{- end }}
{{- end }}
{{- $budget := .Values.podDisruptionBudget -}}
{{- if not (or (kindIs "invalid" $budget.minAvailable) (kindIs "invalid" $budget.maxUnavailable)) }}
- podDisruptionBudget has minAvailable and maxUnavailable: set one of them
{{- end }}
{{- if and .Values.image.digest (not (regexMatch "^sha256:[0-9a-f]{64}$" .Values.image.digest)) }}
- image.digest is {{ .Values.image.digest | quote }}: set sha256: and 64 hexadecimal digits
{{- end }}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) }}
- httpRoute has no gateway: set httpRoute.parentRefs
{{- end }}
{{- with .Values.updateStrategy }}
{{- if and (eq .type "RollingUpdate") (has (dig "maxSurge" 1 (.rollingUpdate | default dict) | toString) (list "0" "0%")) (has (dig "maxUnavailable" 1 (.rollingUpdate | default dict) | toString) (list "0" "0%")) }}
- updateStrategy lets no node come and none go: set rollingUpdate.maxSurge
{{- end }}
{{- end }}
{{- if and .Values.metrics.serviceMonitor.enabled .Values.metrics.podMonitor.enabled }}
- metrics.serviceMonitor and metrics.podMonitor are both enabled, and would count everything twice: set one of them
{{- end }}
{{- with .Values.metrics }}
{{- $scraped := ternary "metrics.serviceMonitor" (ternary "metrics.podMonitor" (ternary "metrics.annotations" "" .annotations) .podMonitor.enabled) .serviceMonitor.enabled }}
{{- if and $scraped $.Values.networkPolicy.enabled (not $.Values.networkPolicy.metricsFrom) }}
- {{ $scraped }} has Prometheus ask the nodes, and networkPolicy lets nobody ask: set networkPolicy.metricsFrom to where Prometheus runs, as in [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]
{{- end }}
{{- end }}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metricsService.enabled) }}
- metrics.serviceMonitor needs the Service of the admin port: set metricsService.enabled=true, or metrics.podMonitor.enabled=true instead
{{- end }}
{{- end -}}
