{{- define "cutline.name" -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "cutline.labels" -}}
app.kubernetes.io/name: cutline
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "cutline.selector" -}}
app.kubernetes.io/name: cutline
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "cutline.image" -}}
{{- $digest := index (.root.Values.image.digests | default dict) .image -}}
{{- $name := printf "%s-%s" .root.Values.image.prefix .image -}}
{{- if $digest }}{{ $name }}@{{ $digest }}{{ else }}{{ $name }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}{{ end }}
{{- end }}

{{/* What every pod of ours may do: nothing but run. */}}
{{- define "cutline.pod" -}}
serviceAccountName: {{ include "cutline.name" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The secrets that every pod reads. */}}
{{- define "cutline.keys" -}}
{{- $keys := .Values.secrets.keys -}}
{{- if .Values.secrets.registryKeys -}}
{{- $keys = concat $keys (list "registry_access_key" "registry_secret_key") | uniq -}}
{{- end -}}
{{- join " " $keys -}}
{{- end }}

{{/* Those that the backup reads besides. */}}
{{- define "cutline.backupKeys" -}}
backup_key backup_access_key backup_secret_key
{{- end }}

{{- define "cutline.container" -}}
image: {{ include "cutline.image" . }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
envFrom:
  - configMapRef: {name: {{ include "cutline.name" .root }}}
env:
{{- range splitList " " (include "cutline.keys" .root) | compact }}
  - {name: CUTLINE_{{ upper . }}_FILE, value: /run/secrets/cutline/{{ . }}}
{{- end }}
{{- end }}

{{- define "cutline.mounts" -}}
- {name: secrets, mountPath: /run/secrets/cutline, readOnly: true}
- {name: tmp, mountPath: /tmp}
- {name: cache, mountPath: /var/cache/cutline}
- {name: data, mountPath: /var/lib/cutline}
{{- end }}

{{- define "cutline.volumes" -}}
- name: secrets
  secret: {secretName: {{ .Values.secrets.name }}, defaultMode: 0440}
- name: tmp
  emptyDir: {sizeLimit: 2Gi}
- name: cache
  emptyDir: {sizeLimit: 2Gi}
- name: data
  emptyDir: {sizeLimit: 1Gi}
{{- end }}

{{/* Pods of a kind stay on different nodes where they can. */}}
{{- define "cutline.apart" -}}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels: {{- include "cutline.selector" . | nindent 14 }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "cutline.selector" . | nindent 8 }}
{{- end }}
