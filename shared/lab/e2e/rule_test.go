package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook/webhooktest"
)

// deployReadmeRule deploys the template of a consumer that shared/docs/events.md shows.
func (d *deployment) deployReadmeRule() {
	d.t.Helper()
	page, err := os.ReadFile(filepath.Join(webhooktest.Root(d.t), "shared/docs/events.md"))
	must(d.t, err)
	var example string
	for i, block := range strings.Split(string(page), "```") {
		if text, ok := strings.CutPrefix(block, "yaml\n"); ok && i%2 == 1 && strings.Contains(text, "AWS::Events::Rule") {
			example = text
		}
	}
	if example == "" {
		d.t.Fatal("events.md shows no rule")
	}
	file := filepath.Join(d.t.TempDir(), "consumer.yaml")
	must(d.t, os.WriteFile(file, []byte(example), 0o600))
	stack := d.stack + "-consumer"
	d.t.Cleanup(func() {
		_, err := d.try(os.Getenv("SAM"), "delete", "--stack-name", stack, "--no-prompts")
		d.note(err)
	})
	d.deployStack(stack, file, "--parameter-overrides=EventBusName="+d.outputs["EventBusName"])
	d.consumer = d.outputsOf(stack)["QueueUrl"]
}

// readmeRule checks that the consumer received one message for each completed agreement, in spite of redeliveries and
// replays.
func (d *deployment) readmeRule() {
	d.t.Helper()
	for quiet := time.Now(); time.Since(quiet) < 3*time.Second; {
		if more := d.take(d.caught); len(more) > 0 {
			d.bus, quiet = append(d.bus, more...), time.Now()
		}
	}
	want := map[string]int{}
	for _, m := range d.bus {
		if e := m.detail; e.StatusChanged && e.StatusAfter == esign.Completed && !e.Replay {
			want[e.Event.Subject] = 1
		}
	}
	got, last := map[string]int{}, time.Now()
	d.eventually("the consumer's messages", func() (string, bool) {
		for _, m := range d.take(d.consumer) {
			got[m.detail.Event.Subject]++
			last = time.Now()
		}
		return cmp.Diff(want, got), len(got) >= len(want) && time.Since(last) > 3*time.Second
	})
	if diff := cmp.Diff(want, got); diff != "" {
		d.t.Error(diff)
	}
}
