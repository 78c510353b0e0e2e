{{- define "tradeoff.name" -}}
{{- $full := printf "%s-%s" .Release.Name .Chart.Name }}
{{- contains .Chart.Name .Release.Name | ternary .Release.Name $full | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "tradeoff.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tradeoff.labels" -}}
{{ include "tradeoff.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "tradeoff.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "tradeoff.name" .) }}{{ else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{- define "tradeoff.secret" -}}
{{- if .Values.database.existingSecret }}{{ .Values.database.existingSecret }}{{ else }}{{ include "tradeoff.name" . }}-database{{ end }}
{{- end }}

{{- define "tradeoff.image" -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{/* Of the pod: an account of its own and none of the cluster's. */}}
{{- define "tradeoff.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "tradeoff.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{/* What every process is told. */}}
{{- define "tradeoff.environment" -}}
- name: TRADEOFF_DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "tradeoff.secret" .root }}
      key: {{ .key | default .root.Values.database.urlKey }}
- name: TRADEOFF_DATABASE_POOL_SIZE
  value: {{ .root.Values.database.poolSize | quote }}
- name: TRADEOFF_LOG_FORMAT
  value: json
- name: TRADEOFF_METRICS_HOST
  value: "0.0.0.0"
- name: TRADEOFF_METRICS_PORT
  value: {{ .root.Values.metrics.port | quote }}
{{- with .root.Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "tradeoff.mounts" -}}
volumeMounts:
  - name: tmp
    mountPath: /tmp
  - name: home
    mountPath: /var/lib/tradeoff
{{- end }}

{{- define "tradeoff.volumes" -}}
volumes:
  - name: tmp
    emptyDir: {}
  - name: home
    emptyDir: {}
{{- end }}

{{- define "tradeoff.egress" -}}
egress:
  # Names.
  - ports:
      - {port: 53, protocol: UDP}
      - {port: 53, protocol: TCP}
  # Postgres.
  - ports:
      - {port: {{ .Values.networkPolicy.databasePort }}, protocol: TCP}
    {{- with .Values.networkPolicy.databaseTo }}
    to:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  {{- with .Values.networkPolicy.extraEgress }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "tradeoff.metricsIngress" -}}
- ports:
    - {port: {{ .Values.metrics.port }}, protocol: TCP}
  {{- with .Values.networkPolicy.metricsFrom }}
  from:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
