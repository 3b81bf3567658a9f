package operate_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/archive"
	"esignhooks/shared/esign"
	"esignhooks/shared/operate"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/vendorapi"
)

// noNotes has no notes.
type noNotes struct{ ledger.Notes }

func (noNotes) Note(context.Context, string) (string, int64, error) { return "", 0, nil }

// of is a client whose credentials are for one account.
type of struct {
	vendorapi.Client
	account string
	err     error
}

func (o of) Foreign(_ context.Context, e esign.Event) (bool, error) {
	return e.AccountID != o.account, o.err
}

func (o of) Subscriptions(context.Context) ([]vendorapi.Subscription, error) {
	return []vendorapi.Subscription{{Name: "ours", URL: here + "acmesign/" + token, Active: true}}, nil
}

// waiting returns notes with these completions, each an agreement and its account, as an archiver has left them.
func waiting(t *testing.T, completions ...string) ledger.Notes {
	t.Helper()
	var all []string
	for i, c := range completions {
		agreement, account, _ := strings.Cut(c, " ")
		at := start.Add(time.Duration(i) * time.Minute).Format(time.RFC3339)
		all = append(all, fmt.Sprintf(`{"agreementId":%q,"accountId":%q,"eventId":"event of %[1]s","at":%[3]q}`, agreement,
			account, at))
	}
	l := open(t)
	must(t, l.PutNote(t.Context(), "acmesign/not-asked", `{"v":1,"completions":[`+strings.Join(all, ",")+`]}`, 0))
	return l
}

func TestRegisteredListsWhatIsNotAsked(t *testing.T) {
	target := (&vendor{}).target()
	target.Clients = func(context.Context, string) (vendorapi.Client, error) { return of{account: "A"}, nil }
	var many []string
	for i := range 25 {
		many = append(many, fmt.Sprintf("m-%02d B", i))
	}
	for name, tt := range map[string]struct {
		waiting     []string
		shown, gone []string
	}{
		"none": {nil, nil, []string{"not confirmed"}},
		"two": {[]string{"e-1 B", "e-2 C"},
			[]string{"2 completions", "e-1", "e-2", "B", "C", "09:31", "make redrive"}, nil},
		"too many":       {many, []string{"25 completions", "m-24", "m-05", "5 older"}, []string{"m-04"}},
		"a hostile name": {[]string{"e-1 \u009b31m"}, []string{"?31m"}, []string{"\u009b"}},
	} {
		t.Run(name, func(t *testing.T) {
			target.Notes = waiting(t, tt.waiting...)
			out, err := act(t, target, "registered -provider acmesign")
			if err != nil {
				t.Error(err)
			}
			for _, s := range tt.shown {
				if !strings.Contains(out, s) {
					t.Errorf("does not show %q: %s", s, out)
				}
			}
			for _, s := range tt.gone {
				if strings.Contains(out, s) {
					t.Errorf("shows %q: %s", s, out)
				}
			}
		})
	}
}

func TestRedriveAsksOnceThereAreCredentials(t *testing.T) {
	errDown := errors.New("down")
	all := []string{"e-1 A", "e-2 B", "e-3 B"}
	for name, tt := range map[string]struct {
		client vendorapi.Client
		err    error // of Clients
		full   error // of the archiver's queue
		queued []string
		left   int
		want   error
	}{
		"still those of another account": {client: of{account: "other"}, left: 3},
		"those of one account":           {client: of{account: "B"}, queued: []string{"e-2", "e-3"}, left: 1},
		"none":                           {err: vendorapi.ErrOff, left: 3},
		"the vendor is disabled":         {err: operate.ErrDisabled, left: 3},
		"the account is unknown":         {client: of{account: "B", err: errDown}, left: 3, want: errDown},
		"they cannot be read":            {err: errDown, left: 3, want: errDown},
		"the queue is full": {client: of{account: "B"}, full: errDown, queued: []string{"e-2"}, left: 3,
			want: errDown},
	} {
		t.Run(name, func(t *testing.T) {
			j, target := &jobs{err: tt.full}, (&vendor{}).target()
			target.Notes, target.Archive = waiting(t, all...), j.add
			target.Clients = func(context.Context, string) (vendorapi.Client, error) { return tt.client, tt.err }
			var out strings.Builder
			if err := operate.AskAgain(t.Context(), &out, target); !errors.Is(err, tt.want) {
				t.Error(err)
			}
			left, err := archive.NotAsked{Notes: target.Notes, Provider: "acmesign"}.All(t.Context())
			must(t, err)
			if len(left) != tt.left || len(j.events) != len(tt.queued) {
				t.Fatalf("%d are left, queued %+v: %s", len(left), j.events, &out)
			}
			for i, e := range j.events {
				d := e.Detail
				if d.Event.AgreementID != tt.queued[i] || d.EventID != "event of "+tt.queued[i] || d.Proof != esign.ProofSigned ||
					d.Event.AccountID != "B" || d.Event.Provider != "acmesign" || e.DetailType != "agreement.completed" {
					t.Errorf("queued %+v", e)
				}
			}
		})
	}
}
