// Package metric writes metrics as log lines in CloudWatch's embedded metric format: no call, no waiting, no permission.
//
// SPEC: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html,
// read 2026-11-23.
package metric

import (
	"encoding/json"
	"io"
	"sync"
	"time"
)

// Log writes metrics of one namespace. A nil *Log discards them. Its methods may be called at the same time.
type Log struct {
	mu        sync.Mutex
	w         io.Writer
	namespace string
	now       func() time.Time
}

// New makes a Log that writes each line to w in one call.
func New(w io.Writer, namespace string, now func() time.Time) *Log {
	return &Log{w: w, namespace: namespace, now: now}
}

// Dimensions tell the metrics of one name apart. Each combination of values is a metric of its own, and is billed as one:
// nothing that comes from outside may be a value.
type Dimensions struct {
	Provider string
	Reason   string // counted with Provider, and without
}

func (d Dimensions) sets() [][]string {
	switch {
	case d.Provider == "":
		return [][]string{{}}
	case d.Reason == "":
		return [][]string{{"Provider"}}
	}
	return [][]string{{"Provider"}, {"Provider", "Reason"}}
}

// Value is a metric and its value.
type Value struct {
	name, unit string
	number     float64
}

// Count is a number of happenings.
func Count(name string, n int) Value { return Value{name, "Count", float64(n)} }

// Milliseconds is a duration, in steps of a microsecond.
func Milliseconds(name string, d time.Duration) Value {
	return Value{name, "Milliseconds", float64(d.Microseconds()) / 1000}
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

// Put writes a line. It has no level, which Lambda takes for INFO: a function whose logs are filtered above that loses its
// metrics.
//
// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html, read 2026-11-23.
func (l *Log) Put(d Dimensions, values ...Value) {
	if l == nil {
		return
	}
	metrics := directive{Namespace: l.namespace, Dimensions: d.sets()}
	root := map[string]any{}
	for name, value := range map[string]string{"Provider": d.Provider, "Reason": d.Reason} {
		if value != "" {
			root[name] = value
		}
	}
	for _, v := range values {
		metrics.Metrics = append(metrics.Metrics, definition{v.name, v.unit})
		root[v.name] = v.number
	}
	root["_aws"] = metadata{l.now().UnixMilli(), []directive{metrics}}
	line, _ := json.Marshal(root) // strings and finite numbers can be written
	l.mu.Lock()
	defer l.mu.Unlock()
	l.w.Write(append(line, '\n')) // there is nobody to tell of an error
}
