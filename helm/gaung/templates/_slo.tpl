{{/* What files/slo.yaml leaves open: objectives, and rules for as many windows as the values name. */}}

{{- define "gaung.sloNames" -}}
{{- $slo := .Values.metrics.slo -}}
ownSeries: gaung_release="{{ include "gaung.namespace" . }}/{{ include "gaung.fullname" . }}"
sloDays: {{ $slo.days }}
minErrors: {{ $slo.minErrors }}
deliveryObjective: {{ $slo.delivery.objective }}
triggerObjective: {{ $slo.trigger.objective }}
connectObjective: {{ $slo.connect.objective }}
deliveryBound: {{ include "gaung.bucket" $slo.delivery.seconds | squote }}
burns: {{ include "gaung.sloBurns" $slo | quote }}
page: {{ include "gaung.sloAlert" $slo.page | quote }}
ticket: {{ include "gaung.sloAlert" $slo.ticket | quote }}
{{- end -}}

{{/* A bound as servers write it, and, where it is a whole number, as newer Prometheus stores it. */}}
{{- define "gaung.bucket" -}}
{{- $bound := toString . -}}
{{- if contains "." $bound }}le="{{ $bound }}"{{ else }}le=~"{{ $bound }}|{{ $bound }}.0"{{ end -}}
{{- end -}}

{{/* A rule for each window. Five minutes are what the recorded rates look at already. */}}
{{- define "gaung.sloBurns" -}}
{{- $windows := list -}}
{{- range concat .page .ticket -}}
{{- $windows = append (append $windows .short) .long -}}
{{- end -}}
{{- range uniq $windows }}
      - record: job:gaung_slo_burn:ratio
        expr: >-
          {{- if eq . "5m" }}
          job:gaung_slo_errors:rate5m{${ownSeries}}
          / (job:gaung_slo_events:rate5m{${ownSeries}} > 0)
          {{- else }}
          sum_over_time(job:gaung_slo_errors:rate5m{${ownSeries}}[{{ . }}])
          / (sum_over_time(job:gaung_slo_events:rate5m{${ownSeries}}[{{ . }}]) > 0)
          {{- end }}
          / (1 - job:gaung_slo_objective:ratio{${ownSeries}})
        labels: { window: {{ . }} }
{{- end }}
{{- end -}}

{{/* Over both windows of one of the pairs: the long one tells that it matters, the short one that it still goes on. The
alert stays the same when another pair keeps it up. */}}
{{- define "gaung.sloAlert" -}}
{{- $pairs := list -}}
{{- range . -}}
{{- $burn := "job:gaung_slo_burn:ratio{${ownSeries}, window=\"%s\"} > %v" -}}
{{- $enough := printf "sum_over_time(job:gaung_slo_errors:rate5m{${ownSeries}}[%s]) * 60 >= ${minErrors}" .long -}}
{{- $pairs = append $pairs (printf "(%s and ignoring (window) %s and ignoring (window) %s)" (printf $burn .long .burn) (printf $burn .short .burn) $enough) -}}
{{- end -}}
max without (window) ({{ join " or " $pairs }})
{{- end -}}
