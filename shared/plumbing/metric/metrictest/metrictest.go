// Package metrictest reads metrics back.
package metrictest

import (
	"encoding/json"
	"strings"
	"testing"
)

// Line is what one line holds.
type Line struct {
	Provider string
	Values   map[string]float64
	// OfProvider lists the metrics that have the dimension Provider.
	OfProvider []string
}

// Read reads what a metric.Log of the namespace wrote. It fails the test if CloudWatch would not accept a line,
// or if the line holds anything else.
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
	if m.Timestamp == 0 || len(m.CloudWatchMetrics) == 0 {
		return line, "no metric"
	}
	delete(root, "_aws")
	take := func(name string, to any) {
		if json.Unmarshal(root[name], to) != nil {
			problem = "no " + name
		}
		delete(root, name)
	}
	if root["Provider"] != nil {
		take("Provider", &line.Provider)
	}
	line.Values = map[string]float64{}
	for _, directive := range m.CloudWatchMetrics {
		dimensions := string(directive.Dimensions)
		ofProvider := dimensions == `[["Provider"]]`
		switch {
		case directive.Namespace != namespace:
			return line, "not of " + namespace
		case !ofProvider && dimensions != `[[]]` || ofProvider && line.Provider == "":
			return line, "dimensions " + dimensions
		}
		for _, d := range directive.Metrics {
			var value float64
			take(d.Name, &value)
			line.Values[d.Name] = value
			if ofProvider {
				line.OfProvider = append(line.OfProvider, d.Name)
			}
		}
	}
	if len(root) > 0 {
		problem = "more than its metrics"
	}
	return line, problem
}
