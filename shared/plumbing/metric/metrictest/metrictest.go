// Package metrictest reads metrics back.
package metrictest

import (
	"encoding/json"
	"strings"
	"testing"

	"esignhooks/shared/plumbing/metric"
)

// Line is what one line tells.
type Line struct {
	metric.Dimensions
	Values map[string]float64
}

// Read reads what a [metric.Log] of the namespace wrote. It fails the test if a line is not what CloudWatch takes, or holds
// anything else.
func Read(t *testing.T, namespace, out string) []Line {
	t.Helper()
	lines := []Line{}
	for text := range strings.Lines(out) {
		line, problem := read(namespace, text)
		if problem != "" {
			t.Fatalf("%s: %s", problem, text)
		}
		lines = append(lines, line)
	}
	return lines
}

type metadata struct {
	Timestamp         int64
	CloudWatchMetrics []struct {
		Namespace  string
		Dimensions json.RawMessage
		Metrics    []struct{ Name, Unit string }
	}
}

func read(namespace, text string) (line Line, problem string) {
	var root map[string]json.RawMessage
	var m metadata
	if json.Unmarshal([]byte(text), &root) != nil || json.Unmarshal(root["_aws"], &m) != nil {
		return line, "not the format"
	}
	if m.Timestamp == 0 || len(m.CloudWatchMetrics) != 1 || m.CloudWatchMetrics[0].Namespace != namespace {
		return line, "not of " + namespace
	}
	delete(root, "_aws")
	take := func(name string, to any) {
		if json.Unmarshal(root[name], to) != nil {
			problem = "no " + name
		}
		delete(root, name)
	}
	switch sets := string(m.CloudWatchMetrics[0].Dimensions); sets {
	case `[[]]`:
	case `[["Provider"]]`:
		take("Provider", &line.Provider)
	case `[["Provider"],["Provider","Reason"]]`:
		take("Provider", &line.Provider)
		take("Reason", &line.Reason)
	default:
		return line, "dimensions " + sets
	}
	line.Values = map[string]float64{}
	for _, d := range m.CloudWatchMetrics[0].Metrics {
		var value float64
		take(d.Name, &value)
		line.Values[d.Name] = value
	}
	if len(root) > 0 {
		problem = "more than its metrics"
	}
	return line, problem
}
