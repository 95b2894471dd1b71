{{- define "artifact-store.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "artifact-store.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "artifact-store.labels" -}}
{{ include "artifact-store.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "artifact-store.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "artifact-store.secret" -}}
{{ .Values.secret.name | default (include "artifact-store.name" .) }}
{{- end }}

{{/* Whether there is a Secret to read: one that was named, or one of values. */}}
{{- define "artifact-store.hasSecret" -}}
{{- if or .Values.secret.name .Values.secret.values }}yes{{ end }}
{{- end }}

{{/* The keys of the Secret that are read. Of values, those that are there. */}}
{{- define "artifact-store.secretKeys" -}}
{{- if .Values.secret.name }}{{ .Values.secret.keys | toJson }}{{ else }}{{ keys .Values.secret.values | sortAlpha | toJson }}{{ end }}
{{- end }}

{{- define "artifact-store.secretVariable" -}}
ARTIFACT_STORE_{{ . | upper | replace "-" "_" }}_FILE
{{- end }}

{{- define "artifact-store.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "artifact-store.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* The pod of both forms; what differs is whether /data is a volume. */}}
{{- define "artifact-store.pod" -}}
metadata:
  labels:
    {{- include "artifact-store.labels" . | nindent 4 }}
  annotations:
    # A change of settings replaces the pods.
    checksum/settings: {{ .Values.settings | sha256sum }}
    checksum/secret: {{ toJson .Values.secret.values | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  # Services' addresses as variables would look like settings.
  enableServiceLinks: false
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: {{ add .Values.drainDelay .Values.drain 10 }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- include "artifact-store.podSecurity" . | nindent 4 }}
  {{- if eq .Values.form "replicas" }}
  affinity:
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector:
              matchLabels:
                {{- include "artifact-store.selector" . | nindent 16 }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: topology.kubernetes.io/zone
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "artifact-store.selector" . | nindent 10 }}
  {{- end }}
  containers:
    - name: registry
      image: {{ include "artifact-store.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve]
      securityContext:
        {{- include "artifact-store.containerSecurity" . | nindent 8 }}
      env:
        - {name: ARTIFACT_STORE_CONFIG, value: /etc/artifact-store/artifact-store.toml}
        - {name: ARTIFACT_STORE_BEHIND_PROXY, value: {{ .Values.behindProxy | quote }}}
        - {name: ARTIFACT_STORE_WORKERS, value: {{ .Values.workers | quote }}}
        - {name: ARTIFACT_STORE_DRAIN_DELAY, value: {{ .Values.drainDelay | quote }}}
        - {name: ARTIFACT_STORE_DRAIN, value: {{ .Values.drain | quote }}}
        {{- with .Values.storage }}
        - {name: ARTIFACT_STORE_STORAGE_URL, value: {{ . | quote }}}
        {{- end }}
        {{- with .Values.events }}
        - {name: ARTIFACT_STORE_EVENTS_URL, value: {{ . | quote }}}
        {{- end }}
        {{- if include "artifact-store.hasSecret" . }}
        {{- range include "artifact-store.secretKeys" . | fromJsonArray }}
        - {name: {{ include "artifact-store.secretVariable" . }}, value: /run/secrets/artifact-store/{{ . }}}
        {{- end }}
        {{- end }}
      ports:
        - {name: http, containerPort: 5000}
      # Opening a store takes a second; the first start of a new format of a volume may take minutes.
      startupProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 2
        timeoutSeconds: 5
        failureThreshold: 300
      # Database and storage answer. A check may take three seconds.
      readinessProbe:
        httpGet: {path: /readyz, port: http}
        periodSeconds: 2
        timeoutSeconds: 5
        failureThreshold: 2
      # The process alone: to start it anew brings no database back.
      livenessProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        - {name: settings, mountPath: /etc/artifact-store, readOnly: true}
        - {name: tmp, mountPath: /tmp}
        {{- if include "artifact-store.hasSecret" . }}
        - {name: secrets, mountPath: /run/secrets/artifact-store, readOnly: true}
        {{- end }}
        {{- if eq .Values.form "embedded" }}
        - {name: data, mountPath: /data}
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: settings
      configMap:
        name: {{ include "artifact-store.name" . }}
    - name: tmp
      emptyDir: {medium: Memory, sizeLimit: 16Mi}
    {{- if include "artifact-store.hasSecret" . }}
    - name: secrets
      secret:
        secretName: {{ include "artifact-store.secret" . }}
        defaultMode: 0440
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
