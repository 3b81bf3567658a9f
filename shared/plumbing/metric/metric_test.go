package metric_test

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/plumbing/metric/metrictest"
)

const namespace = "esignhooks/stack"

// writes are the calls that a writer got.
type writes []string

func (w *writes) Write(b []byte) (int, error) {
	*w = append(*w, string(b))
	return len(b), nil
}

func now() time.Time { return time.UnixMilli(1574109732004) }

func TestALine(t *testing.T) {
	meta := func(dimensions, metrics string) string {
		return `"_aws":{"Timestamp":1574109732004,"CloudWatchMetrics":[{"Namespace":"esignhooks/stack","Dimensions":` + dimensions + `,"Metrics":` + metrics + `}]}}` + "\n"
	}
	for name, tt := range map[string]struct {
		dimensions metric.Dimensions
		values     []metric.Value
		want       string
	}{
		"counts and a duration of a provider": {
			metric.Dimensions{Provider: "docusign"},
			[]metric.Value{metric.Count("Received", 3), metric.Count("Duplicate", 0), metric.Milliseconds("AcknowledgeTime", 1234567*time.Microsecond)},
			`"AcknowledgeTime":1234.567,"Duplicate":0,"Provider":"docusign","Received":3,` +
				meta(`[["Provider"]]`, `[{"Name":"Received","Unit":"Count"},{"Name":"Duplicate","Unit":"Count"},{"Name":"AcknowledgeTime","Unit":"Milliseconds"}]`),
		},
		"a count with its reason, and without": {
			metric.Dimensions{Provider: "docusign", Reason: "signature"}, []metric.Value{metric.Count("Refused", 1)},
			`"Provider":"docusign","Reason":"signature","Refused":1,` + meta(`[["Provider"],["Provider","Reason"]]`, `[{"Name":"Refused","Unit":"Count"}]`),
		},
		"a count without dimensions": {
			metric.Dimensions{}, []metric.Value{metric.Count("Unpublished", 1)},
			`"Unpublished":1,` + meta(`[[]]`, `[{"Name":"Unpublished","Unit":"Count"}]`),
		},
		"the shortest duration": {
			metric.Dimensions{}, []metric.Value{metric.Milliseconds("AcknowledgeTime", 1999*time.Nanosecond)},
			`"AcknowledgeTime":0.001,` + meta(`[[]]`, `[{"Name":"AcknowledgeTime","Unit":"Milliseconds"}]`),
		},
	} {
		t.Run(name, func(t *testing.T) {
			var w writes
			metric.New(&w, namespace, now).Put(tt.dimensions, tt.values...)
			if diff := cmp.Diff(writes{`{` + tt.want}, w); diff != "" {
				t.Error(diff)
			}
			got := metrictest.Read(t, namespace, strings.Join(w, ""))
			if len(got) != 1 || got[0].Dimensions != tt.dimensions || len(got[0].Values) != len(tt.values) {
				t.Errorf("read back as %+v", got)
			}
		})
	}
}

func TestNilDiscards(t *testing.T) {
	var none *metric.Log
	none.Put(metric.Dimensions{Provider: "docusign"}, metric.Count("Received", 1))
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("closed") }

func TestAWriterThatFailsDisturbsNobody(t *testing.T) {
	metric.New(broken{}, namespace, now).Put(metric.Dimensions{}, metric.Count("Unpublished", 1))
}

func TestLinesOfSimultaneousCallsStayWhole(t *testing.T) {
	var out bytes.Buffer
	log := metric.New(&out, namespace, now)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { log.Put(metric.Dimensions{Provider: "docusign"}, metric.Count("Received", 1)) })
	}
	all.Wait()
	if n := len(metrictest.Read(t, namespace, out.String())); n != 50 {
		t.Errorf("%d lines", n)
	}
}
