{{/* Names and labels. The chart of the nodes uses some of them. */}}

{{/* At most 52 characters: Kubernetes makes a label of 63 of a StatefulSet's name and a hash. Never the release's name with
`-nats` behind it, nor `nats` in the labels: those are what nats-io's own chart has, which may be in the same release. */}}
{{- define "gaung-nats.fullname" -}}
{{- default (printf "%s-gaung-nats" (.Release.Name | trunc 41 | trimSuffix "-")) .Values.fullnameOverride | replace "." "-" | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "gaung-nats.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "gaung-nats.authSecretName" -}}
{{- if .Values.auth.existingSecret -}}
{{- tpl .Values.auth.existingSecret . -}}
{{- else -}}
{{- include "gaung-nats.fullname" . }}-auth
{{- end -}}
{{- end -}}

{{/* The login in base64, as {user, password}: what the secret has; where it has none yet and is the chart's to make, one
that is drawn, once for all templates of a rendering. Empty where the secret is someone's own and cannot be seen. */}}
{{- define "gaung-nats.login" -}}
{{- if not (hasKey . "login") -}}
{{- $seen := (lookup "v1" "Secret" (include "gaung-nats.namespace" .) (include "gaung-nats.authSecretName" .) | default dict).data | default dict -}}
{{- $user := get $seen .Values.auth.userKey -}}
{{- $password := get $seen .Values.auth.passwordKey -}}
{{- if not .Values.auth.existingSecret -}}
{{- $user = $user | default (b64enc "gaung") -}}
{{- $password = $password | default (randAlphaNum 32 | b64enc) -}}
{{- end -}}
{{- $_ := set . "login" (dict "user" $user "password" $password "kept" (gt (len $seen) 0)) -}}
{{- end -}}
{{- toJson .login -}}
{{- end -}}

{{/* Not empty where each rendering would draw another password: the chart makes it, there is none yet, and no cluster is
seen in which it would be kept. A list that was looked up is something even if nothing is in it. */}}
{{- define "gaung-nats.wouldForget" -}}
{{- if not .Values.auth.existingSecret -}}
{{- if not (include "gaung-nats.login" . | fromJson).kept -}}
{{- if not (lookup "v1" "Service" (include "gaung-nats.namespace" .) "") }}yes{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* For an annotation of the pods on both sides: with another login all start anew. Empty where it is not known. */}}
{{- define "gaung-nats.loginChecksum" -}}
{{- $login := include "gaung-nats.login" . | fromJson -}}
{{- if or $login.password .Values.auth.revision -}}
{{- printf "%s %s %s" $login.user $login.password .Values.auth.revision | sha256sum -}}
{{- end -}}
{{- end -}}

{{- define "gaung-nats.selectorLabels" -}}
app.kubernetes.io/name: {{ default "gaung-nats" .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: nats
{{- end -}}

{{- define "gaung-nats.headlessName" -}}
{{- include "gaung-nats.fullname" . }}-headless
{{- end -}}

{{/* name, namespace, labels and annotations. Takes a list: the root, the name, the object's own labels, its own annotations. */}}
{{- define "gaung-nats.metadata" -}}
{{- $root := index . 0 -}}
{{- $which := include "gaung-nats.selectorLabels" $root | fromYaml -}}
{{- $release := dict "helm.sh/chart" (printf "nats-%s" $root.Chart.Version | replace "+" "_") "app.kubernetes.io/managed-by" $root.Release.Service "app.kubernetes.io/part-of" "gaung" -}}
name: {{ index . 1 }}
namespace: {{ include "gaung-nats.namespace" $root }}
labels:
  {{- merge $which (index . 2 | default dict) $root.Values.commonLabels $release | toYaml | nindent 2 }}
{{- $annotations := dict -}}
{{- if gt (len .) 3 }}{{ $annotations = index . 3 }}{{ end -}}
{{- with merge (dict) $annotations $root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The address families of a Service; nothing where the cluster's own will do. */}}
{{- define "gaung-nats.families" -}}
{{- range $field := list "ipFamilyPolicy" "ipFamilies" }}
{{- with get $.Values.service $field }}
{{- toYaml (dict $field .) | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "gaung-nats.image" -}}
{{- include "gaung.imageOf" (list . .Values.image "") -}}
{{- end -}}

{{/* The exporter's image is one text. Its host, if it names one, gives way to that of all images, its tag to the digest. */}}
{{- define "gaung-nats.exporterImage" -}}
{{- $image := .Values.exporter.image -}}
{{- with .Values.global.imageRegistry -}}
{{- $image = printf "%s/%s" . (regexReplaceAll "^([^/]+[.:][^/]*|localhost)/" $image "") -}}
{{- end -}}
{{- with .Values.exporter.digest -}}
{{- $image = printf "%s@%s" (regexReplaceAll "(:[^/:@]+)?(@[^/]+)?$" $image "") . -}}
{{- end -}}
{{- $image -}}
{{- end -}}

{{/* "yes" where Prometheus may speak to the exporter. */}}
{{- define "gaung-nats.exporterReachable" -}}
{{- with .Values.networkPolicy -}}
{{- if or (not .enabled) .monitoringFrom .extraIngress }}yes{{ end -}}
{{- end -}}
{{- end -}}

{{/* "yes" where there is one. The chart of the nodes asks too. */}}
{{- define "gaung-nats.hasExporter" -}}
{{- $set := .Values.exporter.enabled -}}
{{- if kindIs "bool" $set }}{{ if $set }}yes{{ end }}{{ else }}{{ include "gaung-nats.exporterReachable" . }}{{ end -}}
{{- end -}}

{{/* A list in NATS' syntax. Kubernetes puts the login in where the pod starts, so that it stands in no object. */}}
{{- define "gaung-nats.routes" -}}
{{- $routes := list -}}
{{- range until (int .Values.replicaCount) -}}
{{- $routes = append $routes (printf "\"nats-route://$(NATS_USER):$(NATS_PASSWORD)@%s-%d.%s:6222\"" (include "gaung-nats.fullname" $) . (include "gaung-nats.headlessName" $)) -}}
{{- end -}}
[{{ join ", " $routes }}]
{{- end -}}

{{/* NATS has no binary units: 1Gi is 1024^3 for it as 1GB. */}}
{{- define "gaung-nats.size" -}}
{{- trimSuffix "i" . }}B
{{- end -}}

{{/* What $NAME stands for, NATS reads as a value of its own syntax; hence the quotes in the variables. */}}
{{- define "gaung-nats.config" -}}
server_name: $SERVER_NAME
port: 4222
http_port: 8222
pid_file: /run/nats/nats.pid
max_payload: {{ .Values.maxPayload }}
# A server that is told to stop sends its clients away bit by bit.
lame_duck_grace_period: 5s
lame_duck_duration: 30s
authorization {
  user: $QUOTED_USER
  password: $QUOTED_PASSWORD
}
{{- if .Values.jetstream.enabled }}
jetstream {
  store_dir: /data
  max_memory_store: {{ include "gaung-nats.size" .Values.jetstream.memory }}
  max_file_store: {{ include "gaung-nats.size" .Values.jetstream.file }}
}
{{- end }}
{{- if gt (int .Values.replicaCount) 1 }}
cluster {
  name: {{ include "gaung-nats.fullname" . }}
  port: 6222
  no_advertise: true
  authorization {
    user: $QUOTED_USER
    password: $QUOTED_PASSWORD
  }
  routes: $ROUTES
}
{{- end }}
{{- with .Values.extraConfig }}
{{ . }}
{{- end }}
{{- end -}}
