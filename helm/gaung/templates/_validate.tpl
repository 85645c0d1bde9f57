{{- define "gaung.validate" -}}
{{- end -}}
