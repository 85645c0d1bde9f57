{{/* What is scraped at a node, and how. Takes a list: the root, the values of the monitor, the name of the port.
Both monitors set `job` to the full name, so that alerts and dashboards need not know which of them is in use. */}}
{{- define "gaung.scrapeEndpoint" -}}
{{- $root := index . 0 -}}
{{- $monitor := index . 1 -}}
port: {{ index . 2 }}
path: /metrics
interval: {{ $monitor.interval }}
scrapeTimeout: {{ $monitor.scrapeTimeout }}
relabelings:
  - action: replace
    targetLabel: job
    replacement: {{ include "gaung.fullname" $root }}
  {{- with $monitor.relabelings }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $monitor.metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The labels that all nodes of the release have in Prometheus, as PromQL has them between braces. */}}
{{- define "gaung.seriesSelector" -}}
{{- $own := printf "namespace=%q, job=%q" (include "gaung.namespace" .) (include "gaung.fullname" .) -}}
{{- default $own .Values.metrics.prometheusRule.selector -}}
{{- end -}}

{{/* files/alerts.yaml with its names filled in. The file is no template: what stands in double braces there is for
Prometheus to fill in. */}}
{{- define "gaung.alerts" -}}
{{- $rule := .Values.metrics.prometheusRule -}}
{{- $text := .Files.Get "files/alerts.yaml" -}}
{{- $names := dict
      "selector" (include "gaung.seriesSelector" .)
      "namespace" (include "gaung.namespace" .)
      "fullname" (include "gaung.fullname" .)
      "nodes" (include "gaung.replicas" .)
      "runbook" $rule.runbookUrl -}}
{{- range $name, $value := merge $names $rule.thresholds -}}
{{- $text = replace (printf "${%s}" $name) (toString $value) $text -}}
{{- end -}}
{{- with regexFind "\\$\\{[a-zA-Z]+\\}" $text -}}
{{- fail (printf "metrics.prometheusRule.thresholds has no value for %s; leave the chart's or set another" .) -}}
{{- end -}}
{{- range $rule.disabled -}}
{{- if not (contains (printf "alert: %s\n" .) $text) -}}
{{- fail (printf "metrics.prometheusRule.disabled names %s, which is no alert; RUNBOOK.md has them all" .) -}}
{{- end -}}
{{- end -}}
{{- $text -}}
{{- end -}}
