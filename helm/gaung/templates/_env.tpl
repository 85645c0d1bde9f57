{{/* The server's settings: what the chart decides stands in the pod, `config` in a ConfigMap. */}}

{{- define "gaung.env" -}}
{{- range $name, $value := include "gaung.settings" . | fromYaml }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- include "gaung.natsLogin" . }}
{{- if include "gaung.storesApps" . }}
{{- include "gaung.fromSecret" (list "GAUNG_APPS_STORE_KEY" (tpl .Values.apps.store.existingSecret .) .Values.apps.store.existingSecretKey) }}
{{- end }}
{{- with .Values.extraEnv }}
{{ tpl (toYaml .) $ }}
{{- end }}
{{- end -}}

{{/* The chart's own settings, without secrets, by name. All values are texts. */}}
{{- define "gaung.settings" -}}
GAUNG_HOST: {{ .Values.server.host | quote }}
GAUNG_PORT: {{ .Values.server.port | int | quote }}
GAUNG_ADMIN_HOST: {{ .Values.server.host | quote }}
GAUNG_ADMIN_PORT: {{ .Values.server.metricsPort | int | quote }}
{{- if not (include "gaung.storesApps" .) }}
GAUNG_APPS_FILE: /etc/gaung/apps/apps.json
{{- end }}
GAUNG_DRAIN_SECONDS: {{ .Values.drain.windowSeconds | int | quote }}
GAUNG_DRAIN_LAG_SECONDS: {{ .Values.drain.lagSeconds | int | quote }}
GAUNG_MAX_CONNECTIONS: {{ .Values.server.maxConnections | int | quote }}
GAUNG_MAX_MEMORY_MB: {{ include "gaung.maxMemoryMB" . | quote }}
GAUNG_READY_WITHOUT_NATS: {{ .Values.server.readyWithoutNats | quote }}
{{- with include "gaung.pathPrefix" . }}
GAUNG_PATH_PREFIX: {{ . | quote }}
{{- end }}
{{- if .Values.server.tls.existingSecret }}
GAUNG_TLS_CERT: /etc/gaung/tls/tls.crt
GAUNG_TLS_KEY: /etc/gaung/tls/tls.key
{{- end }}
{{- if include "gaung.clustered" . }}
{{ include "gaung.clusterSettings" . }}
{{- end }}
{{- end -}}

{{/* A node without NATS refuses these. */}}
{{- define "gaung.clusterSettings" -}}
GAUNG_NATS_URL: {{ include "gaung.natsUrl" . | quote }}
GAUNG_CLUSTER_NAME: {{ include "gaung.clusterName" . | quote }}
GAUNG_CLUSTER_NODES_FILE: /etc/gaung/cluster/nodes
{{- if include "gaung.storesApps" . }}
GAUNG_APPS_STORE: nats
GAUNG_APPS_STORE_REPLICAS: {{ include "gaung.streamReplicas" (list $ .Values.apps.store) | quote }}
GAUNG_APPS_CACHE: /var/cache/gaung/apps
{{- end }}
{{- with include "gaung.webhookStream" . }}
GAUNG_WEBHOOK_STREAM: {{ . | quote }}
GAUNG_WEBHOOK_STREAM_REPLICAS: {{ include "gaung.streamReplicas" (list $ $.Values.webhooks) | quote }}
{{- end }}
{{- with include "gaung.rebalanceAbove" . }}
GAUNG_REBALANCE_ABOVE: {{ . | quote }}
GAUNG_REBALANCE_PERCENT: {{ $.Values.rebalance.percent | int | quote }}
{{- end }}
{{- if include "gaung.historyStream" . }}
GAUNG_HISTORY_STREAM: "true"
GAUNG_HISTORY_STREAM_REPLICAS: {{ include "gaung.streamReplicas" (list $ .Values.history) | quote }}
GAUNG_HISTORY_STREAM_MB: {{ .Values.history.streamMB | int | quote }}
{{- end }}
{{- with .Values.cluster.nats }}
{{- if .tls.enabled }}
GAUNG_NATS_TLS: "true"
{{- end }}
{{- if .tls.existingSecret }}
GAUNG_NATS_CA: /etc/gaung/nats-tls/{{ .tls.caKey }}
{{- if .tls.clientCertificate }}
GAUNG_NATS_CERT: /etc/gaung/nats-tls/{{ .tls.certKey }}
GAUNG_NATS_KEY: /etc/gaung/nats-tls/{{ .tls.keyKey }}
{{- end }}
{{- end }}
{{- if and .existingSecret (eq .auth "credentials") }}
GAUNG_NATS_CREDENTIALS: /etc/gaung/nats/{{ .keys.credentials }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "gaung.natsUrl" -}}
{{- if .Values.nats.enabled -}}
nats://{{ include "gaung-nats.fullname" .Subcharts.nats }}:4222
{{- else -}}
{{- tpl (join "," .Values.cluster.nats.urls) . -}}
{{- end -}}
{{- end -}}

{{/* User and password, or token, out of a secret. */}}
{{- define "gaung.natsLogin" -}}
{{- if .Values.nats.enabled -}}
{{- $secret := include "gaung-nats.authSecretName" .Subcharts.nats -}}
{{- include "gaung.fromSecret" (list "GAUNG_NATS_USER" $secret .Subcharts.nats.Values.auth.userKey) -}}
{{- include "gaung.fromSecret" (list "GAUNG_NATS_PASSWORD" $secret .Subcharts.nats.Values.auth.passwordKey) -}}
{{- else if .Values.cluster.nats.existingSecret -}}
{{- $nats := .Values.cluster.nats -}}
{{- $secret := tpl $nats.existingSecret . -}}
{{- if eq $nats.auth "user" -}}
{{- include "gaung.fromSecret" (list "GAUNG_NATS_USER" $secret $nats.keys.user) -}}
{{- include "gaung.fromSecret" (list "GAUNG_NATS_PASSWORD" $secret $nats.keys.password) -}}
{{- else if eq $nats.auth "token" -}}
{{- include "gaung.fromSecret" (list "GAUNG_NATS_TOKEN" $secret $nats.keys.token) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Takes a list: the variable, the secret, its key. */}}
{{- define "gaung.fromSecret" }}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef:
      name: {{ index . 1 | quote }}
      key: {{ index . 2 | quote }}
{{- end -}}

{{/* The user's own settings. */}}
{{- define "gaung.config" -}}
{{- range $name, $value := .Values.config }}
{{ $name }}: {{ include "gaung.plain" $value | quote }}
{{- end }}
{{- end -}}
