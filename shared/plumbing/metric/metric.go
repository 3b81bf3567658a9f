// Package metric writes metrics as log lines in CloudWatch's embedded metric format. It needs no call and no
// permission.
//
// SPEC:
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html,
// read 2026-11-23.
package metric

import (
	"encoding/json"
	"io"
	"sync"
	"time"
)

// Log writes metrics of one namespace. A nil *Log discards them. It is safe for concurrent use.
type Log struct {
	mu        sync.Mutex
	w         io.Writer
	namespace string
	now       func() time.Time
}

// New returns a Log that writes each line to w in one call.
func New(w io.Writer, namespace string, now func() time.Time) *Log {
	return &Log{w: w, namespace: namespace, now: now}
}

// Value is a metric and its value.
type Value struct {
	name, unit string
	number     float64
	ofProvider bool
}

// Count returns a metric without dimensions. It sums up all providers.
func Count(name string, n int) Value { return Value{name: name, unit: "Count", number: float64(n)} }

// ProviderCount returns a metric with the dimension Provider. CloudWatch bills it once for each provider, so use it
// only where an alarm of one provider needs it.
func ProviderCount(name string, n int) Value {
	v := Count(name, n)
	v.ofProvider = true
	return v
}

// Milliseconds returns a duration without dimensions, in steps of a microsecond.
func Milliseconds(name string, d time.Duration) Value {
	return Value{name: name, unit: "Milliseconds", number: float64(d.Microseconds()) / 1000}
}

type definition struct {
	Name string
	Unit string
}

type directive struct {
	Namespace  string
	Dimensions [][]string
	Metrics    []definition
}

type metadata struct {
	Timestamp         int64 // Unix milliseconds
	CloudWatchMetrics []directive
}

// Put writes the values in one line, which also names the provider if there is one. The provider is a dimension of a
// [ProviderCount] only: it must be one of ours, and never come from a request. The line has no level. Lambda treats it
// as INFO, so a function whose log level is higher loses its metrics.
//
// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html, read 2026-11-23.
func (l *Log) Put(provider string, values ...Value) {
	if l == nil {
		return
	}
	root := map[string]any{}
	if provider != "" {
		root["Provider"] = provider
	}
	total := directive{Namespace: l.namespace, Dimensions: [][]string{{}}}
	ofProvider := directive{Namespace: l.namespace, Dimensions: [][]string{{"Provider"}}}
	for _, v := range values {
		d := &total
		if v.ofProvider {
			d = &ofProvider
		}
		d.Metrics = append(d.Metrics, definition{v.name, v.unit})
		root[v.name] = v.number
	}
	m := metadata{Timestamp: l.now().UnixMilli()}
	for _, d := range []directive{ofProvider, total} {
		if len(d.Metrics) > 0 {
			m.CloudWatchMetrics = append(m.CloudWatchMetrics, d)
		}
	}
	root["_aws"] = m
	line, _ := json.Marshal(root) // strings and finite numbers always marshal
	l.mu.Lock()
	defer l.mu.Unlock()
	l.w.Write(append(line, '\n')) // an error cannot be reported anywhere
}
