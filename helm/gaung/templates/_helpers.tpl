{{/* Names, labels and the numbers that several templates need. */}}

{{- define "gaung.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 54 characters, so that the longest suffix (-metrics) leaves a name within 63. A release's name may have
dots, a Service's may not. */}}
{{- define "gaung.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | replace "." "-" | trunc 54 | trimSuffix "-" -}}
{{- end -}}

{{- define "gaung.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "gaung.metricsName" -}}
{{- include "gaung.fullname" . }}-metrics
{{- end -}}

{{/* What never changes while a release lives: selectors cannot, and pods should not restart for a new chart. */}}
{{- define "gaung.baseLabels" -}}
app.kubernetes.io/name: {{ include "gaung.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "gaung.selectorLabels" -}}
{{ include "gaung.baseLabels" . }}
app.kubernetes.io/component: server
{{- end -}}

{{/* Of the metrics Service itself, so that a ServiceMonitor selects it and not the public one. */}}
{{- define "gaung.metricsSelectorLabels" -}}
{{ include "gaung.baseLabels" . }}
app.kubernetes.io/component: metrics
{{- end -}}

{{- define "gaung.testLabels" -}}
{{ include "gaung.baseLabels" . }}
app.kubernetes.io/component: test
{{- end -}}

{{/* Labels of an object. Takes a list: the root, the component, the object's own labels. What says which object it is
wins, then the object's own, then the common ones. */}}
{{- define "gaung.labelsOf" -}}
{{- $root := index . 0 -}}
{{- $which := include "gaung.baseLabels" $root | fromYaml -}}
{{- $_ := set $which "app.kubernetes.io/component" (index . 1) -}}
{{- $chart := printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- $release := dict "helm.sh/chart" $chart "app.kubernetes.io/version" $root.Chart.AppVersion "app.kubernetes.io/managed-by" $root.Release.Service "app.kubernetes.io/part-of" "gaung" -}}
{{- merge $which (index . 2 | default dict) $root.Values.commonLabels $release | toYaml -}}
{{- end -}}

{{- define "gaung.labels" -}}
{{- include "gaung.labelsOf" (list . "server" nil) -}}
{{- end -}}

{{/* The key `annotations` of an object's metadata, on a line of its own; nothing where there are none.
Takes a list: the root, the object's own, which win over the common ones. */}}
{{- define "gaung.annotations" -}}
{{- $root := index . 0 -}}
{{- with merge (dict) (index . 1 | default dict) $root.Values.commonAnnotations }}
  annotations:
    {{- tpl (toYaml .) $root | nindent 4 }}
{{- end }}
{{- end -}}

{{- define "gaung.image" -}}
{{- include "gaung.imageOf" (list . .Values.image .Chart.AppVersion) -}}
{{- end -}}

{{/* An image's full name. Takes a list: the root, its registry, repository, tag and digest, the tag where there is none.
NATS' image comes by here too. */}}
{{- define "gaung.imageOf" -}}
{{- $image := index . 1 -}}
{{- with (index . 0).Values.global.imageRegistry | default $image.registry }}{{ . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ default (index . 2) $image.tag }}{{ end -}}
{{- end -}}

{{/* The key `imagePullSecrets` of a pod; nothing where there are none. Takes a list: the root, the image's own. */}}
{{- define "gaung.pullSecrets" -}}
{{- $names := list -}}
{{- range concat ((index . 0).Values.global.imagePullSecrets | default list) (index . 1) -}}
{{- $names = append $names (ternary (dict "name" .) . (kindIs "string" .)) -}}
{{- end -}}
{{- with $names }}
imagePullSecrets:
  {{- uniq . | toYaml | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "gaung.serviceAccountName" -}}
{{- default (ternary (include "gaung.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "gaung.appsSecretName" -}}
{{- if .Values.apps.existingSecret -}}
{{- tpl .Values.apps.existingSecret . -}}
{{- else -}}
{{- include "gaung.fullname" . }}-apps
{{- end -}}
{{- end -}}

{{/* Whether the apps are in NATS. */}}
{{- define "gaung.storesApps" -}}
{{- if .Values.apps.store.existingSecret }}yes{{ end -}}
{{- end -}}

{{- define "gaung.appsKey" -}}
{{- ternary .Values.apps.existingSecretKey "apps.json" (not (empty .Values.apps.existingSecret)) -}}
{{- end -}}

{{/* Not empty where the nodes talk to one another. */}}
{{- define "gaung.clustered" -}}
{{- if or .Values.nats.enabled .Values.cluster.nats.urls }}yes{{ end -}}
{{- end -}}

{{/* Not empty where something else decides how many nodes there are. */}}
{{- define "gaung.scaled" -}}
{{- if or .Values.autoscaling.enabled .Values.keda.enabled }}yes{{ end -}}
{{- end -}}

{{/* The fixed or the least number of nodes. */}}
{{- define "gaung.replicas" -}}
{{- if .Values.autoscaling.enabled -}}
{{- .Values.autoscaling.minReplicas | int -}}
{{- else if .Values.keda.enabled -}}
{{- .Values.keda.minReplicaCount | int -}}
{{- else if kindIs "invalid" .Values.replicaCount -}}
{{- ternary 3 1 (not (empty (include "gaung.clustered" .))) -}}
{{- else -}}
{{- .Values.replicaCount | int -}}
{{- end -}}
{{- end -}}

{{/* The most nodes that there may be. */}}
{{- define "gaung.maxReplicas" -}}
{{- if .Values.autoscaling.enabled -}}
{{- .Values.autoscaling.maxReplicas | int -}}
{{- else if .Values.keda.enabled -}}
{{- .Values.keda.maxReplicaCount | int -}}
{{- else -}}
{{- include "gaung.replicas" . -}}
{{- end -}}
{{- end -}}

{{/* What a pod needs from its preStop to its end. */}}
{{- define "gaung.drainSeconds" -}}
{{- with .Values.drain -}}
{{- add .propagationSeconds .lagSeconds .windowSeconds .marginSeconds -}}
{{- end -}}
{{- end -}}

{{- define "gaung.gracePeriod" -}}
{{- default (include "gaung.drainSeconds" .) .Values.terminationGracePeriodSeconds | int -}}
{{- end -}}

{{- define "gaung.clusterName" -}}
{{- default (include "gaung.fullname" . | lower | trunc 32 | trimSuffix "-") .Values.cluster.name -}}
{{- end -}}

{{- define "gaung.webhookStream" -}}
{{- if kindIs "invalid" .Values.webhooks.stream -}}
{{- ternary "gaung-webhooks" "" .Values.nats.enabled -}}
{{- else -}}
{{- .Values.webhooks.stream -}}
{{- end -}}
{{- end -}}

{{/* How many times the mean of all nodes one may have in sockets; empty for any. */}}
{{- define "gaung.rebalanceAbove" -}}
{{- $own := .Values.rebalance.above -}}
{{- if not (kindIs "invalid" $own) -}}
{{- if $own }}{{ $own }}{{ end -}}
{{- else if or .Values.autoscaling.enabled .Values.keda.enabled -}}
1.2
{{- end -}}
{{- end -}}

{{/* Not empty where a stream keeps events behind the nodes' memory. */}}
{{- define "gaung.historyStream" -}}
{{- if ternary (include "gaung.hasJetStream" .) .Values.history.stream (kindIs "invalid" .Values.history.stream) }}yes{{ end -}}
{{- end -}}

{{/* Not empty where NATS of our own has a place for streams. */}}
{{- define "gaung.hasJetStream" -}}
{{- if and .Values.nats.enabled .Subcharts.nats.Values.jetstream.enabled }}yes{{ end -}}
{{- end -}}

{{/* How many servers keep a stream. Takes a list: the root, the values of what the stream is for. */}}
{{- define "gaung.streamReplicas" -}}
{{- $root := index . 0 -}}
{{- $own := (index . 1).streamReplicas -}}
{{- if not (kindIs "invalid" $own) -}}
{{- $own | int -}}
{{- else if $root.Values.nats.enabled -}}
{{- $root.Values.nats.replicaCount | default 1 | int -}}
{{- else -}}
1
{{- end -}}
{{- end -}}

{{/* A quantity of memory (128Mi, 1G, 1073741824) in bytes. */}}
{{- define "gaung.bytes" -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- $number := regexFind "^[0-9]+(\\.[0-9]+)?" . -}}
{{- $unit := trimPrefix $number . -}}
{{- if or (not $number) (not (hasKey $units $unit)) -}}
{{- fail (printf "resources.limits.memory is %q; write it as in 512Mi or 1Gi, or set server.maxMemoryMB" .) -}}
{{- end -}}
{{- mulf $number (get $units $unit) | int64 -}}
{{- end -}}

{{/* Resident MiB above which a node takes no new sockets; 0 is no limit. */}}
{{- define "gaung.maxMemoryMB" -}}
{{- $limit := dig "limits" "memory" "" .Values.resources -}}
{{- if not (kindIs "invalid" .Values.server.maxMemoryMB) -}}
{{- .Values.server.maxMemoryMB | int -}}
{{- else if $limit -}}
{{- div (mul (include "gaung.bytes" (include "gaung.plain" $limit) | int64) 85) 104857600 -}}
{{- else -}}
0
{{- end -}}
{{- end -}}

{{/* A value as text. Helm reads numbers as floats, which print as 1.6777216e+07. */}}
{{- define "gaung.plain" -}}
{{- if kindIs "float64" . }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end -}}

{{/* What all public paths begin with, without a slash at its end. */}}
{{- define "gaung.pathPrefix" -}}
{{- trimSuffix "/" .Values.server.pathPrefix -}}
{{- end -}}

{{/* The routes' path prefixes as a JSON list. Takes a list: the root, the user's own. The admin port is not among them. */}}
{{- define "gaung.routePaths" -}}
{{- $prefix := include "gaung.pathPrefix" (index . 0) -}}
{{- $own := list -}}
{{- range list "/app" "/pusher/app" "/apps" "/ws" "/sse" }}{{ $own = append $own (print $prefix .) }}{{ end -}}
{{- default $own (index . 1) | toJson -}}
{{- end -}}
