package process_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/finding"
	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/provider"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// later is AcmeSign as the worker of a later release knows it.
var later = acmesign.Provider{Renamed: true}

// deliverAs returns what the receiver of a release makes of a request with one event.
func deliverAs(p acmesign.Provider, e acmesign.Event) *webhook.Delivery {
	request := acmesign.Request(e)
	ids, err := p.Identify(request)
	if err != nil {
		panic(err)
	}
	return webhooktest.Delivery(p, request, ids[0], esign.ProofSigned)
}

// both returns the deliveries of an event by the earlier and by the later release.
func both(e acmesign.Event) (former, present *webhook.Delivery) {
	e.Agreement = "a"
	return deliverAs(acmesign.Provider{}, e), deliverAs(later, e)
}

// The earlier release gives the two purges one ID. The later one distinguishes them by their time.
func TestAnEventIsProcessedOnceUnderAllItsIDs(t *testing.T) {
	formerSent, sent := both(acmesign.Event{Number: 1, Type: "sent", At: now.Add(-time.Hour)})
	_, viewed := both(acmesign.Event{Number: 2, Type: "viewed", At: now.Add(-time.Minute)})
	formerPurged, purged := both(acmesign.Event{Type: "purged", At: now.Add(-time.Second)})
	formerSecond, second := both(acmesign.Event{Type: "purged", At: now})
	type batch = []*webhook.Delivery
	for name, tt := range map[string]struct {
		batches []batch
		want    []*webhook.Delivery // that are processed, in order
	}{
		"a retry under the new ID":            {[]batch{{formerSent}, {sent}, {sent}}, batch{formerSent}},
		"a retry under the old ID":            {[]batch{{sent}, {formerSent}, {formerSent}, {sent}}, batch{sent}},
		"both in one batch":                   {[]batch{{formerSent, sent, viewed}}, batch{formerSent, viewed}},
		"both in one batch, the new ID first": {[]batch{{sent, formerSent, viewed}}, batch{sent, viewed}},
		"a duplicate among others": {
			[]batch{{formerSent}, {viewed, sent, purged}},
			batch{formerSent, viewed, purged},
		},
		"an old ID of one of several events": {[]batch{{formerPurged}, {purged, second}}, batch{formerPurged, second}},
		"the same, with the second event":    {[]batch{{formerSecond}, {purged, second}}, batch{formerSecond, purged}},
		"old messages of both":               {[]batch{{formerPurged}, {formerSecond}}, batch{formerPurged}},
		"an old message after the new ones":  {[]batch{{purged, second}, {formerSecond}, {purged}}, batch{purged, second}},
		"an old message that was its own":    {[]batch{{purged}, {formerSecond}, {second}}, batch{purged, formerSecond}},
		"one that was unreadable": {
			[]batch{{formerSent}, {unreadable(string(sent.Payload))}},
			batch{formerSent},
		},
		"nothing is processed already": {
			[]batch{{sent, viewed, purged, second}},
			batch{sent, viewed, purged, second},
		},
		"a duplicate whose original is behind": {[]batch{{second, formerSecond}, {purged}}, batch{second, purged}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, later)
			at := now
			w.Now = func() time.Time { at = at.Add(time.Minute); return at }
			for _, b := range tt.batches {
				w.handle(t, b...)
			}
			var got, want []string
			for _, e := range w.history(t, subject, len(tt.want)) {
				got = append(got, e.ID+" "+string(e.State))
			}
			for _, d := range tt.want {
				want = append(want, d.EventID+" "+string(ledger.Processed))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if _, version, err := w.Ledger.Agreement(t.Context(), subject); err != nil || version != int64(len(want)) {
				t.Errorf("version %d, %v", version, err)
			}
			w.wantDeadLetters(t, 0)
		})
	}
}

func TestTheRetryOfAnEventInFlightConflicts(t *testing.T) {
	former, present := both(acmesign.Event{Number: 1, Type: "sent", At: now})
	w := newWorld(t, later)
	w.beforeCommit = func() { w.handle(t, former) } // by another worker, after this one has looked it up
	w.handle(t, present)
	if e := w.history(t, subject, 1)[0]; e.ID != former.EventID || e.Duplicates != 1 {
		t.Errorf("%+v", e)
	}
	w.wantMetrics(t, map[string]float64{"Processed": 1, "NoStatusChange": 0})
}

func TestAFailedLookupIsRetried(t *testing.T) {
	former, present := both(acmesign.Event{Number: 1, Type: "sent", At: now})
	w := newWorld(t, later)
	w.handle(t, former)
	for _, err := range []*error{&w.eventErr, &w.markErr} {
		*err = errDown
		w.wantFailure(t, present)
		*err = nil
	}
	w.handle(t, present)
	w.history(t, subject, 1)
}

// A message without former IDs costs no call, unless it carries a former ID.
func TestOnlyOtherIDsAreLookedUp(t *testing.T) {
	former, present := both(acmesign.Event{Number: 1, Type: "sent", At: now})
	none := *present
	none.FormerIDs = nil
	found := finding.Reconciled(acmesign.Name, "a", esign.Completed, "", now, now, finding.Said{})
	for name, tt := range map[string]struct {
		delivery *webhook.Delivery
		want     []string
	}{
		"former IDs":           {present, []string{former.EventID}},
		"a former ID":          {former, []string{present.EventID}},
		"no former IDs":        {&none, nil},
		"a finding of our own": {&found, nil},
	} {
		w := newWorld(t, later)
		w.handle(t, tt.delivery)
		if !slices.Equal(w.looked, tt.want) {
			t.Errorf("%s: looked up %q, want %q", name, w.looked, tt.want)
		}
	}
}

// The vendor reports the time only in the copy that the later release receives.
func TestACopyUnderAnotherIDCorrectsTheTime(t *testing.T) {
	timeless, again := both(acmesign.Event{Number: 7, Type: "signed"})
	_, exact := both(acmesign.Event{Number: 7, Type: "signed", At: now.Add(-time.Minute)})
	_, viewed := both(acmesign.Event{Number: 8, Type: "viewed", At: now.Add(-time.Hour)})
	for name, order := range map[string][]*webhook.Delivery{
		"the second copy":     {timeless, exact, again, exact},
		"the third copy":      {timeless, again, exact},
		"of an event renamed": {again, exact, timeless},
	} {
		w, at := newWorld(t, later), now
		w.Now = func() time.Time { at = at.Add(time.Minute); return at }
		w.beforeCorrect = func() { w.handle(t, viewed) } // a conflict
		for _, d := range order {
			w.handle(t, d)
		}
		e := w.history(t, subject, 2)[0]
		if !e.OccurredAt.Equal(now.Add(-time.Minute)) || e.Event.Approximate || e.ID != order[0].EventID ||
			e.Event.ID != e.ID {
			t.Errorf("%s: %+v", name, e)
		}
		if a := w.wantAgreement(t, subject, esign.Signed, 3); a.Approximate != nil {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

func TestACopyUnderAnotherIDOfAnEventWithoutAnAgreement(t *testing.T) {
	w, timeless := newWorld(t, later), acmesign.Event{Number: 9, Type: "test"}
	exact := timeless
	exact.At = now.Add(-time.Minute)
	former := deliverAs(acmesign.Provider{}, timeless)
	w.handle(t, former)
	w.handle(t, deliverAs(later, exact))
	if e := w.history(t, former.Subject, 1)[0]; e.ID != former.EventID || !e.Event.Approximate || e.Duplicates != 1 {
		t.Errorf("%+v", e)
	}
}

// latest is a release that knows only what the release before it called an event.
type latest struct{ acmesign.Provider }

func (latest) Normalize(d *webhook.Delivery) (esign.Event, error) {
	renamed := *d
	if len(d.FormerIDs) > 0 {
		renamed.EventID = d.FormerIDs[0].ID
	}
	return later.Normalize(&renamed)
}

func TestADuplicateOfADuplicateIsADuplicate(t *testing.T) {
	former, present := both(acmesign.Event{Number: 1, Type: "sent", At: now})
	next := *present
	next.EventID, next.FormerIDs = "next", []webhook.FormerID{{ID: present.EventID}}
	w := newWorld(t, latest{later})
	for _, d := range []*webhook.Delivery{former, present, &next} {
		w.handle(t, d)
	}
	if len(w.looked) != 3 {
		t.Errorf("looked up %q", w.looked)
	}
	e, err := w.Ledger.Event(t.Context(), ledger.Key{Subject: subject, ID: "next"})
	if err != nil || e.DuplicateOf != former.EventID {
		t.Errorf("%+v, %v", e, err)
	}
	if e := w.history(t, subject, 1)[0]; e.Duplicates != 2 {
		t.Errorf("%+v", e)
	}
}

// Each example with former IDs is processed under one of them by an earlier release, and delivered again by this one.
func TestEveryFormerIDOfTheExamplesIsRecognised(t *testing.T) {
	renamed := 0
	for _, p := range provider.All() {
		for name, r := range webhooktest.Examples(t, p.Info().Name) {
			ids, err := p.Identify(r)
			if r.Method != http.MethodPost || err != nil {
				continue
			}
			present := webhooktest.Delivery(p, r, ids[0], esign.ProofSigned)
			for _, f := range ids[0].FormerIDs {
				renamed++
				former := *present
				former.EventID, former.FormerIDs = f.ID, nil
				for first, batches := range map[string][]*webhook.Delivery{f.ID: {&former, present},
					ids[0].EventID: {present, &former}} {
					w := newWorld(t, p)
					for _, d := range batches {
						w.handle(t, d)
					}
					if e := w.history(t, present.Subject, 1)[0]; e.ID != first || e.Duplicates != 1 {
						t.Errorf("%s: %+v", name, e)
					}
					w.wantDeadLetters(t, 0)
				}
			}
		}
	}
	if renamed == 0 {
		t.Error("no example has a former ID")
	}
}
