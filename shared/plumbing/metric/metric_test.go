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

// writes holds what each call of Write got.
type writes []string

func (w *writes) Write(b []byte) (int, error) {
	*w = append(*w, string(b))
	return len(b), nil
}

func now() time.Time { return time.UnixMilli(1574109732004) }

func TestALine(t *testing.T) {
	const acknowledge, received = `{"Name":"AcknowledgeTime","Unit":"Milliseconds"}`, `{"Name":"Received","Unit":"Count"}`
	const duplicate, unpublished = `{"Name":"Duplicate","Unit":"Count"}`, `{"Name":"Unpublished","Unit":"Count"}`
	directive := func(dimensions, metrics string) string {
		return `{"Namespace":"esignhooks/stack","Dimensions":` + dimensions + `,"Metrics":[` + metrics + `]}`
	}
	for name, tt := range map[string]struct {
		provider         string
		values           []metric.Value
		want, directives string
	}{
		"counts and a duration, one of them with the provider as dimension": {
			"acmesign",
			[]metric.Value{
				metric.Count("Duplicate", 0), metric.ProviderCount("Received", 3),
				metric.Milliseconds("AcknowledgeTime", 1234567*time.Microsecond),
			},
			`"AcknowledgeTime":1234.567,"Duplicate":0,"Provider":"acmesign","Received":3`,
			directive(`[["Provider"]]`, received) + "," + directive(`[[]]`, duplicate+","+acknowledge),
		},
		"a count of a provider without the dimension": {
			"acmesign", []metric.Value{metric.Count("Duplicate", 1)},
			`"Duplicate":1,"Provider":"acmesign"`, directive(`[[]]`, duplicate),
		},
		"a count without a provider": {
			"", []metric.Value{metric.Count("Unpublished", 1)}, `"Unpublished":1`, directive(`[[]]`, unpublished),
		},
		"the shortest duration": {
			"", []metric.Value{metric.Milliseconds("AcknowledgeTime", 1999*time.Nanosecond)},
			`"AcknowledgeTime":0.001`, directive(`[[]]`, acknowledge),
		},
	} {
		t.Run(name, func(t *testing.T) {
			var w writes
			metric.New(&w, namespace, now).Put(tt.provider, tt.values...)
			want := `{` + tt.want + `,"_aws":{"Timestamp":1574109732004,"CloudWatchMetrics":[` + tt.directives + "]}}\n"
			if diff := cmp.Diff(writes{want}, w); diff != "" {
				t.Error(diff)
			}
			got := metrictest.Read(t, namespace, strings.Join(w, ""))
			if len(got) != 1 || got[0].Provider != tt.provider || len(got[0].Values) != len(tt.values) {
				t.Errorf("read back as %+v", got)
			}
		})
	}
}

func TestNilDiscards(t *testing.T) {
	var none *metric.Log
	none.Put("acmesign", metric.Count("Received", 1))
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("closed") }

func TestPutIgnoresAFailingWriter(t *testing.T) {
	metric.New(broken{}, namespace, now).Put("", metric.Count("Unpublished", 1))
}

func TestConcurrentLinesDoNotMix(t *testing.T) {
	var out bytes.Buffer
	log := metric.New(&out, namespace, now)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { log.Put("acmesign", metric.Count("Received", 1)) })
	}
	all.Wait()
	if n := len(metrictest.Read(t, namespace, out.String())); n != 50 {
		t.Errorf("%d lines", n)
	}
}
