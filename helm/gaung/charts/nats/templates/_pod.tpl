{{/* The parts of the pod. */}}

{{- define "gaung-nats.env" -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: NATS_USER
  valueFrom:
    secretKeyRef:
      name: {{ include "gaung-nats.authSecretName" . | quote }}
      key: {{ .Values.auth.userKey | quote }}
- name: NATS_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ include "gaung-nats.authSecretName" . | quote }}
      key: {{ .Values.auth.passwordKey | quote }}
- name: SERVER_NAME
  value: '"$(POD_NAME)"'
- name: QUOTED_USER
  value: '"$(NATS_USER)"'
- name: QUOTED_PASSWORD
  value: '"$(NATS_PASSWORD)"'
{{- if gt (int .Values.replicaCount) 1 }}
- name: ROUTES
  value: {{ include "gaung-nats.routes" . | squote }}
{{- end }}
{{- end -}}

{{- define "gaung-nats.podAnnotations" -}}
{{- $own := dict "checksum/config" (include "gaung-nats.config" . | sha256sum) -}}
{{- with include "gaung-nats.loginChecksum" . }}{{ $_ := set $own "checksum/nats-login" . }}{{ end -}}
{{- merge $own .Values.podAnnotations | toYaml -}}
{{- end -}}

{{- define "gaung-nats.exporter" -}}
image: {{ include "gaung-nats.exporterImage" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [-port=7777, -connz, -healthz, -jsz=all, -routez, -subz, -varz, -use_internal_server_name, "http://127.0.0.1:8222/"]
ports:
  - name: exporter
    containerPort: 7777
    protocol: TCP
{{- with .Values.exporter.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "gaung.securityContext" (list . .Values.securityContext) | nindent 2 }}
{{- end -}}

{{- define "gaung-nats.spread" -}}
{{- if kindIs "slice" .Values.topologySpreadConstraints -}}
{{- toYaml .Values.topologySpreadConstraints -}}
{{- else -}}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "gaung-nats.selectorLabels" $ | nindent 6 }}
{{- end }}
{{- end -}}
{{- end -}}
