{{/* What is scraped, and how. Takes a list: the root, the values of the monitor, the name of the port, the name of what is
watched. Both monitors set `job` to that name, so that alerts and dashboards need not know which of them is in use. */}}
{{- define "gaung.scrapeEndpoint" -}}
{{- $monitor := index . 1 -}}
port: {{ index . 2 }}
path: /metrics
interval: {{ $monitor.interval }}
scrapeTimeout: {{ $monitor.scrapeTimeout }}
relabelings:
  - action: replace
    targetLabel: job
    replacement: {{ index . 3 }}
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

{{/* The name of NATS beside the nodes where it is watched: it has an exporter, and Prometheus may reach that. */}}
{{- define "gaung.watchedNats" -}}
{{- if and .Values.nats.enabled (include "gaung-nats.hasExporter" .Subcharts.nats) (include "gaung-nats.exporterReachable" .Subcharts.nats) -}}
{{ include "gaung-nats.fullname" .Subcharts.nats }}
{{- end -}}
{{- end -}}

{{/* The same for NATS' servers; empty where nobody watches them. */}}
{{- define "gaung.natsSelector" -}}
{{- $own := "" -}}
{{- with include "gaung.watchedNats" . -}}
{{- $own = printf "namespace=%q, job=%q" (include "gaung-nats.namespace" $.Subcharts.nats) . -}}
{{- end -}}
{{- default $own .Values.metrics.prometheusRule.natsSelector -}}
{{- end -}}

{{/* The groups of rules with their names filled in. The files are no templates: what stands in double braces there is for
Prometheus to fill in. */}}
{{- define "gaung.rules" -}}
{{- $rule := .Values.metrics.prometheusRule -}}
{{- $text := include "gaung.ruleFiles" . -}}
{{- $servers := 1 -}}
{{- if .Values.nats.enabled }}{{ $servers = .Subcharts.nats.Values.replicaCount | int }}{{ end -}}
{{- $names := dict
      "selector" (include "gaung.seriesSelector" .)
      "natsSelector" (include "gaung.natsSelector" .)
      "natsServers" $servers
      "namespace" (include "gaung.namespace" .)
      "fullname" (include "gaung.fullname" .)
      "nodes" (include "gaung.replicas" .)
      "runbook" $rule.runbookUrl -}}
{{- $known := merge $names (include "gaung.sloNames" . | fromYaml) $rule.thresholds -}}
{{- /* The texts of service levels name others. */ -}}
{{- range list 1 2 -}}
{{- range $name, $value := $known -}}
{{- $text = replace (printf "${%s}" $name) (toString $value) $text -}}
{{- end -}}
{{- end -}}
{{- with regexFind "\\$\\{[a-zA-Z]+\\}" $text -}}
{{- fail (printf "metrics.prometheusRule.thresholds has no value for %s; leave the chart's or set another" .) -}}
{{- end -}}
{{- range $rule.disabled -}}
{{- if not (contains (printf "alert: %s\n" .) $text) -}}
{{- fail (printf "metrics.prometheusRule.disabled names %s, which is no alert of this release; RUNBOOK.md has them all" .) -}}
{{- end -}}
{{- end -}}
{{- $text -}}
{{- end -}}

{{- define "gaung.ruleFiles" -}}
{{- .Files.Get "files/alerts.yaml" -}}
{{- if .Values.metrics.slo.enabled }}{{ .Files.Get "files/slo.yaml" }}{{ end -}}
{{- if include "gaung.natsSelector" . }}{{ .Files.Get "files/nats.yaml" }}{{ end -}}
{{- if .Values.metrics.prometheusRule.watchdog }}{{ .Files.Get "files/watchdog.yaml" }}{{ end -}}
{{- end -}}
