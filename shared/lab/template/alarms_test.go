package template

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"esignhooks/shared/provider"
)

// withoutEnd are the metrics of single incidents. The end of such an alarm does not mean that all is well, so it sends
// no notification.
var withoutEnd = []string{"Contradicted", "Forged", "NotAsked", "StaleClaims", "Unpublished", "WrongKey"}

func TestAlarmsNotifyAndSayWhatToDo(t *testing.T) {
	for name, alarm := range readTemplate(t).of(t, "AWS::CloudWatch::Alarm") {
		if sentences := strings.Count(at(alarm, "AlarmDescription").Value, "."); sentences < 2 {
			t.Errorf("%s does not say what happened, and what to do", name)
		}
		const notify = "!If [Notified, [!Ref AlarmTopicArn], !Ref AWS::NoValue]"
		incident := slices.ContainsFunc(every(alarm, "MetricName"), func(m yaml.Node) bool {
			return slices.Contains(withoutEnd, at(m, "MetricName").Value)
		})
		if got := written(at(alarm, "AlarmActions")); got != notify {
			t.Errorf("%s notifies %q", name, got)
		}
		if got := written(at(alarm, "OKActions")); incident && got != "" || !incident && got != notify {
			t.Errorf("the end of %s notifies %q", name, got)
		}
		want := "notBreaching"
		if at(alarm, "ComparisonOperator").Value == "LessThanThreshold" { // missing events are missing data
			want = "breaching"
		}
		if got := at(alarm, "TreatMissingData").Value; got != want {
			t.Errorf("%s treats missing data as %q, not %s", name, got, want)
		}
	}
}

// TestAlarmsKnowTheMetrics checks that every alarm reads a metric that is written. Otherwise the alarm would never
// start. A metric has the dimension Provider if and only if an alarm of each vendor reads it: CloudWatch bills such a
// metric once for each vendor.
func TestAlarmsKnowTheMetrics(t *testing.T) {
	all := readTemplate(t)
	namespace := written(at(all.Globals, "Function", "Environment", "Variables", "METRICS_NAMESPACE"))
	dimension := map[string]string{} // by metric, as the code or a filter writes it
	for _, call := range regexp.MustCompile(`\bmetric\.(Provider)?Count\("(\w+)"`).FindAllStringSubmatch(sources(t), -1) {
		dimension[call[2]] = call[1]
	}
	for name, filter := range all.of(t, "AWS::Logs::MetricFilter") {
		for _, m := range at(filter, "MetricTransformations").Content {
			dimension[at(*m, "MetricName").Value] = ""
			if got := written(at(*m, "MetricNamespace")); got != namespace {
				t.Errorf("%s writes to %s, the functions to %s", name, got, namespace)
			}
		}
	}
	owner := map[string]string{} // of an alarm about one vendor
	for _, p := range provider.All() {
		for name := range all.of(t, "AWS::CloudWatch::Alarm") {
			if strings.HasPrefix(name, p.Info().Resource) {
				owner[name] = p.Info().Name
			}
		}
	}
	readers := map[string]int{}
	for name, alarm := range all.of(t, "AWS::CloudWatch::Alarm") {
		for _, m := range every(alarm, "MetricName") {
			metric := at(m, "MetricName").Value
			if strings.HasPrefix(at(m, "Namespace").Value, "AWS/") {
				continue
			}
			readers[metric]++
			if got := written(at(m, "Namespace")); got != namespace {
				t.Errorf("%s reads %s in %s, the functions write to %s", name, metric, got, namespace)
			}
			by, known := dimension[metric]
			want := ""
			if by != "" {
				want = "[[Name, " + by + ", Value, " + owner[name] + "]]"
			}
			if got := written(at(m, "Dimensions")); !known || got != want || (by != "") != (owner[name] != "") {
				t.Errorf("%s reads %s with the dimensions %q; it is written with %q", name, metric, got, by)
			}
		}
	}
	for metric, by := range dimension {
		if by != "" && readers[metric] != len(provider.All()) {
			t.Errorf("%s has the dimension %s, and %d alarms read it", metric, by, readers[metric])
		}
	}
}

// sources returns the code of all packages, without tests.
func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		all.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// TestAlarmsKnowTheAPI checks that alarms name the API as its metrics do: by its name, not by its ID.
func TestAlarmsKnowTheAPI(t *testing.T) {
	all := readTemplate(t)
	api := all.Resources["Api"].Properties
	want := "[[Name, ApiName, Value, " + written(at(api, "Name")) + "], " +
		"[Name, Stage, Value, " + written(at(api, "StageName")) + "]]"
	found := 0
	for name, alarm := range all.of(t, "AWS::CloudWatch::Alarm") {
		for _, m := range every(alarm, "MetricName") {
			if at(m, "Namespace").Value != "AWS/ApiGateway" {
				continue
			}
			found++
			if got := written(at(m, "Dimensions")); got != want {
				t.Errorf("%s reads %s, not %s", name, got, want)
			}
		}
	}
	if found < 2 {
		t.Errorf("%d metrics of the API are read", found)
	}
}

// TestAlarmsWatchEveryFunction checks that alarms cover receivers by the API's 5xx, and background functions by their
// errors and throttles.
func TestAlarmsWatchEveryFunction(t *testing.T) {
	all := readTemplate(t)
	var background []string
	for name, function := range all.of(t, "AWS::Serverless::Function") {
		if len(paths(function)) == 0 {
			background = append(background, "[[Name, FunctionName, Value, !Ref "+name+"]]")
		}
	}
	slices.Sort(background)
	for _, name := range []string{"ErrorsAlarm", "ThrottlesAlarm"} {
		var watched []string
		for _, m := range every(all.Resources[name].Properties, "MetricName") {
			watched = append(watched, written(at(m, "Dimensions")))
			if got, want := at(m, "MetricName").Value, strings.TrimSuffix(name, "Alarm"); got != want {
				t.Errorf("%s reads %s", name, got)
			}
		}
		slices.Sort(watched)
		if !slices.Equal(watched, background) {
			t.Errorf("%s reads %q, not %q", name, watched, background)
		}
	}
	all.expect(t, "GatewayServerErrorsAlarm", map[string]string{ // a single failure starts it
		"ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": "1", "DatapointsToAlarm": "",
		"MetricName": "5XXError", "Period": "300", "Statistic": "Sum", "Threshold": "0",
	})
}

// TestAlarmsDoNotGrowWithTheVendors checks that no alarm lists the vendors, since CloudWatch allows 10 metrics in an
// alarm.
func TestAlarmsDoNotGrowWithTheVendors(t *testing.T) {
	for name, alarm := range readTemplate(t).of(t, "AWS::CloudWatch::Alarm") {
		metrics, vendors := len(every(alarm, "MetricName")), 0
		for _, p := range provider.All() {
			if strings.Contains(strings.ToLower(written(alarm)), p.Info().Name) {
				vendors++
			}
		}
		if metrics > 10 || vendors > 1 {
			t.Errorf("%s reads %d metrics and names %d vendors", name, metrics, vendors)
		}
	}
}
