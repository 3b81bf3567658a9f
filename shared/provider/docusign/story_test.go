package docusign_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/slow"
	"esignhooks/shared/provider/docusign"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// person is a recipient. Its GUID is made of its number.
type person struct {
	number, order int
	copies        bool // receives a copy, and signs nothing
	status        string
	times         map[string]time.Time // by XML's names
}

func (p *person) guid() string { return fmt.Sprintf("%08d-0000-4000-8000-000000000000", p.number) }

func (p *person) reach(status, name string, at time.Time) { p.status, p.times[name] = status, at }

func (p *person) acted() bool {
	return p.status != "created" && p.status != "sent" && p.status != "autoresponded"
}

// world is an envelope during its life, and the clock. Times are UTC; XML's are seven hours behind.
type world struct {
	r          *rand.Rand
	now        time.Time
	status     string
	changed    time.Time
	times      map[string]time.Time // by XML's names
	reason     string
	people     []*person
	added      int
	sequential bool
	routesSoon bool // the next recipient is already asked when the message about the one before is made
	short      bool // much happens at one time, or soon after
	asked      time.Time

	sims, bare, aggregates, xmls []webhooktest.Happening
}

// step lets time pass. Unless the life is short, it is more than DocuSign needs for routing.
func (w *world) step() {
	if w.now.Before(w.asked) {
		w.now = w.asked
	}
	if w.short {
		w.now = w.now.Add([]time.Duration{0, 2 * time.Second, 30 * time.Second, 5 * time.Minute}[w.r.IntN(4)])
		return
	}
	w.now = w.now.Add(2*time.Minute + time.Duration(w.r.IntN(1e9))*time.Millisecond)
}

func (w *world) enter(status, name string, at time.Time) {
	w.status, w.changed, w.times[name] = status, at, at
}

func (w *world) add(copies bool, order int) *person {
	w.added++
	p := &person{number: w.added, order: order, copies: copies, status: "created", times: map[string]time.Time{}}
	w.people = append(w.people, p)
	return p
}

// route asks all whose turn it is, and returns what is left to do if DocuSign does it after the message.
func (w *world) route() (later func()) {
	first := 99
	for _, p := range w.people {
		if !p.copies && p.status != "completed" {
			first = min(first, p.order)
		}
	}
	var asked []*person
	for _, p := range w.people {
		if p.status == "created" && (!w.sequential || p.order <= first) {
			asked = append(asked, p)
		}
	}
	soon := w.now.Add(time.Second / 2)
	do := func() {
		for _, p := range asked {
			soon = soon.Add(3 * time.Millisecond)
			p.reach("sent", "Sent", soon)
			if p.copies {
				p.status = "completed"
			}
			w.times["Sent"], w.asked = soon, soon
		}
	}
	if w.routesSoon {
		do()
		return func() {}
	}
	return do
}

// all reports whether all signers have done it.
func (w *world) all(done func(*person) bool) bool {
	for _, p := range w.people {
		if !p.copies && !done(p) {
			return false
		}
	}
	return true
}

func format(at time.Time, zone string) string {
	if zone == "" {
		at = at.Add(-7 * time.Hour)
	}
	return at.Format("2006-01-02T15:04:05.999999999") + zone
}

var jsonNames = map[string]string{"Created": "created", "Sent": "sent", "Delivered": "delivered", "Signed": "signed",
	"Completed": "completed", "Declined": "declined", "Voided": "voided"}

func fields(times map[string]time.Time) (asJSON, asXML string) {
	for name, at := range times {
		asJSON += fmt.Sprintf(`,"%sDateTime":%q`, jsonNames[name], format(at, "Z"))
		if name != "Voided" { // XML has no such time
			asXML += fmt.Sprintf("<%s>%s</%[1]s>", name, format(at, ""))
		}
	}
	return asJSON, asXML
}

// envelope is the envelope in JSON and in XML.
func (w *world) envelope(made time.Time) (asJSON, asXML string) {
	lists, statuses := map[bool][]string{}, ""
	for _, p := range w.people {
		inJSON, inXML := fields(p.times)
		lists[p.copies] = append(lists[p.copies], fmt.Sprintf(
			`{"recipientId":"%d","recipientIdGuid":%q,"routingOrder":"%d","status":%q%s}`, p.number, p.guid(), p.order,
			p.status, inJSON))
		kind := map[bool]string{true: "CarbonCopy", false: "Signer"}[p.copies]
		statuses += fmt.Sprintf("<RecipientStatus><Type>%s</Type>%s<Status>%s</Status><RecipientId>%s</RecipientId>"+
			"</RecipientStatus>", kind, inXML, strings.ToUpper(p.status[:1])+p.status[1:], p.guid())
	}
	inJSON, inXML := fields(w.times)
	asJSON = fmt.Sprintf(`"envelopeId":%q,"status":%q,"statusChangedDateTime":%q,"voidedReason":%q%s,`+
		`"recipients":{"signers":[%s],"carbonCopies":[%s],"recipientCount":"%d"}`, envelopeID, w.status,
		format(w.changed, "Z"), w.reason, inJSON, strings.Join(lists[false], ","), strings.Join(lists[true], ","),
		len(w.people))
	asXML = legacy(fmt.Sprintf("<RecipientStatuses>%s</RecipientStatuses><TimeGenerated>%s</TimeGenerated>"+
		"<Status>%s</Status>%s<VoidReason>%s</VoidReason>", statuses, format(made, ""),
		strings.ToUpper(w.status[:1])+w.status[1:], inXML, w.reason), "<TimeZoneOffset>-7</TimeZoneOffset>")
	return asJSON, asXML
}

func request(body string) *webhook.Request {
	return &webhook.Request{Method: http.MethodPost, Header: http.Header{}, Body: []byte(body)}
}

// report adds what just happened, as all formats and two configurations report it. exact is false if only the message's
// own time is known.
func (w *world) report(event string, who *person, exact bool) {
	made := []time.Time{w.now, w.now.Add(20 * time.Second)}
	if !exact {
		made = made[:1]
	}
	data := ""
	if who != nil {
		data = fmt.Sprintf(`"recipientId":"%d",`, who.number)
	}
	var sims, aggregates, xmls webhooktest.Happening
	for i, made := range made {
		more := fmt.Sprintf(`"generatedDateTime":%q,"configurationId":%d,"retryCount":%d`, format(made, "Z"), 7+i, i)
		asJSON, asXML := w.envelope(made)
		sims = append(sims, request(sim(event, `"envelopeId":"`+envelopeID+`",`+data+summary(asJSON), more)))
		aggregates = append(aggregates, request("{"+asJSON+","+more+"}"))
		xmls = append(xmls, request(asXML))
	}
	if w.status == "voided" {
		xmls = xmls[:1]
	}
	bare := request(sim(event, strings.TrimSuffix(`"envelopeId":"`+envelopeID+`",`+data, ","),
		fmt.Sprintf(`"generatedDateTime":%q`, format(w.now, "Z"))))
	w.sims, w.bare = append(w.sims, sims), append(w.bare, webhooktest.Happening{bare})
	w.aggregates, w.xmls = append(w.aggregates, aggregates), append(w.xmls, xmls)
}

// TestAnyLifeInAnyFormat tells lives of an envelope as SIM with the envelope's summary and without, as aggregate, and
// as XML.
func TestAnyLifeInAnyFormat(t *testing.T) {
	webhooktest.Tell(t, provider, func(r *rand.Rand) [][]webhooktest.Happening {
		w := &world{r: r}
		return w.families(w.live())
	})
}

// TestAnyShortLife tells lives in which much happens at one time or soon after. Aggregates and XML then report some
// signatures twice, so SIM need not agree with them.
func TestAnyShortLife(t *testing.T) {
	webhooktest.Tell(t, provider, func(r *rand.Rand) [][]webhooktest.Happening {
		w := &world{r: r, short: true}
		w.live()
		return [][]webhooktest.Happening{w.aggregates, w.xmls}
	})
}

// TestAnyShortLifeIsComplete tells such lives in all formats. What SIM reports, the others report too,
// except for a request to sign, which may be a part of another event.
func TestAnyShortLifeIsComplete(t *testing.T) {
	read := func(life []webhooktest.Happening) (folded esign.Agreement, count map[string]int) {
		known := map[string]bool{}
		count = map[string]int{}
		for _, happening := range life {
			body := string(happening[0].Body)
			ids, all := events(t, body)
			for i, e := range all {
				if !known[ids[i]] {
					known[ids[i]] = true
					folded = esign.Fold(folded, e)
					what := string(e.Type)
					if e.Type != esign.AgreementUndeliverable && e.Type != esign.AgreementCancelled && e.Type !=
						esign.AgreementExpired {
						what += e.OccurredAt.String()
					}
					count[what]++
				}
			}
		}
		return folded, count
	}
	for seed := range uint64(slow.Cases(150, 500)) {
		w := &world{r: rand.New(rand.NewPCG(seed, 2)), short: true}
		w.live()
		agreement, want := read(w.sims)
		for i, family := range [][]webhooktest.Happening{w.aggregates, w.xmls} {
			other, got := read(family)
			for what, n := range want {
				if !strings.HasPrefix(what, string(esign.AgreementUpdated)) && got[what] < n {
					t.Fatalf("seed %d, family %d: %d of %s, want %d", seed, i, got[what], what, n)
				}
			}
			if other.Status != agreement.Status || len(other.Participants) != len(agreement.Participants) {
				t.Fatalf("seed %d, family %d: %+v, want %+v", seed, i, other, agreement)
			}
			for id, p := range agreement.Participants {
				if q := other.Participants[id]; q.Status != p.Status || q.Replaced != p.Replaced || !q.At.Equal(p.At) {
					t.Fatalf("seed %d, family %d: %s is %+v, want %+v", seed, i, id, q, p)
				}
			}
		}
	}
}

// live makes the life, and returns whether it can be told without summaries.
func (w *world) live() (plain bool) {
	r := w.r
	w.now, w.times = at("2026-11-02T08:00:00Z"), map[string]time.Time{}
	w.sequential, w.routesSoon = r.IntN(2) == 0, r.IntN(2) == 0
	for i := range 1 + r.IntN(3) {
		w.add(false, i+1)
	}
	if r.IntN(2) == 0 {
		w.add(true, 1+r.IntN(4))
	}
	r.Shuffle(len(w.people), func(i, j int) { w.people[i], w.people[j] = w.people[j], w.people[i] })
	w.enter("created", "Created", w.now)
	if r.IntN(2) == 0 {
		w.report("envelope-created", nil, true)
	}
	w.step()
	w.enter("sent", "Sent", w.now)
	w.route()()
	w.times["Sent"] = w.now
	w.report("envelope-sent", nil, true)

	plain = true
	for !w.all(func(p *person) bool { return p.status == "completed" }) {
		w.step()
		var waiting []*person
		for _, p := range w.people {
			if !p.copies && p.status != "created" && p.status != "completed" {
				waiting = append(waiting, p)
			}
		}
		p := waiting[r.IntN(len(waiting))]
		switch n := r.IntN(20); {
		case n == 0:
			plain = false
			p.reach("declined", "Declined", w.now)
			asJSON, asXML := w.envelope(w.now) // made before the envelope's status follows
			w.enter("declined", "Declined", w.now)
			w.report("envelope-declined", nil, true)
			last := len(w.sims) - 1
			w.aggregates[last] = append(w.aggregates[last], request("{"+asJSON+"}"))
			w.xmls[last] = append(w.xmls[last], request(asXML))
			return plain
		case (n == 1 || n == 2) && (!w.short || w.added == len(w.people)): // XML has no time of voiding, to date its list
			plain = false
			w.enter("voided", "Voided", w.now)
			w.reason = []string{"Quote expired", "Envelope has expired."}[n-1]
			w.report("envelope-voided", nil, true)
			return plain
		case n == 3 && !p.acted():
			plain = false
			other := w.add(false, p.order)
			w.remove(p)
			other.reach("sent", "Sent", w.now)
			w.report("recipient-sent", other, true)
		case (n == 4 || w.short && n == 5) && p.status == "sent" && (w.short || w.lastActed().IsZero()):
			p.status = "autoresponded"
			w.report("recipient-autoresponded", p, false)
		case n < 12 && !p.acted():
			p.reach("delivered", "Delivered", w.now)
			if w.all((*person).acted) {
				w.enter("delivered", "Delivered", w.now.Add(time.Millisecond))
			}
			w.report("recipient-delivered", p, true)
		default:
			p.reach("completed", "Signed", w.now)
			later := w.route()
			w.report("recipient-completed", p, true)
			before := w.asked
			later()
			if next := w.first("sent"); w.short && w.asked.After(before) && !w.routesSoon && next != nil && r.IntN(2) == 0 {
				plain = false
				w.now = w.asked
				w.report("recipient-sent", next, true)
			}
		}
	}
	w.step()
	w.enter("completed", "Completed", w.now)
	w.report("envelope-completed", nil, true)
	return plain
}

// first returns the first signer with this status who was asked last, or nil.
func (w *world) first(status string) *person {
	for _, p := range w.people {
		if !p.copies && p.status == status && !p.times["Sent"].Before(w.asked.Add(-time.Second/4)) {
			return p
		}
	}
	return nil
}

func (w *world) families(plain bool) [][]webhooktest.Happening {
	families := [][]webhooktest.Happening{w.sims, w.aggregates, w.xmls}
	if plain {
		families = append(families, w.bare)
	}
	return families
}

func (w *world) remove(p *person) {
	for i := range w.people {
		if w.people[i] == p {
			w.people = append(w.people[:i:i], w.people[i+1:]...)
			return
		}
	}
}

// lastActed is the time of the newest action.
func (w *world) lastActed() (last time.Time) {
	for _, p := range w.people {
		for _, name := range []string{"Delivered", "Signed"} {
			if at := p.times[name]; at.After(last) {
				last = at
			}
		}
	}
	return last
}

// TestAnyLifeAsSIM reports what only SIM reports, much of it several times, through two configurations.
func TestAnyLifeAsSIM(t *testing.T) {
	events := append(docusign.MoreEvents(), "envelope-sent", "envelope-delivered", "envelope-resent", "envelope-corrected",
		"envelope-purge", "envelope-deleted", "envelope-discard", "recipient-sent", "recipient-resent", "recipient-delivered",
		"recipient-authenticationfailed", "recipient-autoresponded", "recipient-finish-later", "envelope-novelty")
	once := []string{"envelope-completed", "envelope-declined", "envelope-voided", "recipient-completed"}
	webhooktest.Tell(t, provider, func(r *rand.Rand) [][]webhooktest.Happening {
		var life []webhooktest.Happening
		made := at("2026-11-02T08:00:00Z")
		add := func(event string) {
			made = made.Add(time.Duration(1+r.IntN(1e9)) * time.Microsecond)
			var happening webhooktest.Happening
			for i := range 2 {
				happening = append(happening, request(sim(event,
					fmt.Sprintf(`"accountId":"%d","envelopeId":%q,"recipientId":"7"`, i, envelopeID),
					fmt.Sprintf(`"generatedDateTime":%q,"configurationId":%d,"retryCount":%d`, format(made, "Z"), i, i))))
			}
			life = append(life, happening)
		}
		for range 2 + r.IntN(10) {
			add(events[r.IntN(len(events))])
		}
		r.Shuffle(len(once), func(i, j int) { once[i], once[j] = once[j], once[i] })
		for _, event := range once[:r.IntN(len(once))] {
			add(event)
		}
		return [][]webhooktest.Happening{life}
	})
}
