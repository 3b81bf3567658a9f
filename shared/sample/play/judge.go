package play

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/sample/story"
	"esignhooks/shared/webhook"
)

// judge compares the truth with what the read API and the application know. It asks again until they agree, or until
// nothing has changed for as long as patience lasts.
func (r *run) judge(ctx context.Context) error {
	for _, source := range r.sources() {
		open, deadline := r.agreements, time.Now().Add(r.Patience)
		var before map[*story.Agreement][]string
		for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
			wrong := r.compare(ctx, source, open)
			if err := ctx.Err(); err != nil {
				return err
			}
			if before != nil && !reflect.DeepEqual(wrong, before) {
				deadline = time.Now().Add(r.Patience)
			}
			before = wrong
			last := len(wrong) == 0 || time.Now().After(deadline)
			if last {
				r.report.enter(source.name, wrong)
				break
			}
			open = slices.DeleteFunc(slices.Clone(open), func(a *story.Agreement) bool { return wrong[a] == nil })
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
		r.report.Compared = append(r.report.Compared, source.name)
	}
	r.report.conclude()
	return nil
}

// source is something that knows agreements.
type source struct {
	name    string
	compare func(context.Context, *story.Agreement) []string
}

// What is compared, as the report names it.
const (
	answers     = "answers"
	readAPI     = "read API"
	application = "application"
)

func (r *run) sources() (all []source) {
	if r.API != "" {
		all = append(all, source{readAPI, r.compareAPI})
	}
	if r.StateURL != "" {
		all = append(all, source{application, r.compareApplication})
	}
	return all
}

// compare returns the differences of those agreements that have any.
func (r *run) compare(ctx context.Context, s source, agreements []*story.Agreement) map[*story.Agreement][]string {
	var mu sync.Mutex
	wrong := map[*story.Agreement][]string{}
	next := make(chan *story.Agreement)
	var group sync.WaitGroup
	for range min(8, len(agreements)) {
		group.Go(func() {
			for a := range next {
				if differences := s.compare(ctx, a); len(differences) > 0 {
					mu.Lock()
					wrong[a] = differences
					mu.Unlock()
				}
			}
		})
	}
	for _, a := range agreements {
		next <- a
	}
	close(next)
	group.Wait()
	return wrong
}

// compareAPI compares an agreement with what GET /api/agreements/{provider}/{id} answers.
func (r *run) compareAPI(ctx context.Context, a *story.Agreement) []string {
	var known struct {
		esign.Agreement
		Events []struct {
			Type       esign.Type `json:"type"`
			State      string     `json:"state"`
			Duplicates int        `json:"duplicates"`
		} `json:"events"`
	}
	address := strings.TrimSuffix(r.API, "/") + "/api/agreements/" + r.Provider.Info().Name + "/" + url.PathEscape(a.ID)
	found, err := r.get(ctx, address, &known)
	if err != nil || !found || a.Truth.Status == "" {
		return unknown(a, found, err)
	}
	events, duplicates := 0, 0
	for _, e := range known.Events {
		duplicates += e.Duplicates
		if e.State == "processed" && e.Type != esign.AgreementConfirmed && e.Type != esign.AgreementArchived {
			events++
		}
	}
	differences := a.Truth.Differences(known.Agreement, events)
	if least, most := r.duplicates(a); duplicates < least || duplicates > most {
		differences = append(differences, fmt.Sprintf("duplicates: %d instead of %s", duplicates, between(least, most)))
	}
	return differences
}

// unknown compares whether an agreement is known with whether it should be.
func unknown(a *story.Agreement, found bool, err error) []string {
	switch {
	case err != nil:
		return []string{err.Error()}
	case !found && a.Truth.Status != "":
		return []string{"the agreement is unknown"}
	case found && a.Truth.Status == "":
		return []string{"the agreement is known, although every request had to be refused"}
	}
	return nil
}

// duplicates returns how many duplicates of an agreement's events the receiver must have counted: at least one for each
// acknowledgement after the first, at most one for each request after the first.
func (r *run) duplicates(a *story.Agreement) (least, most int) {
	acknowledged, sent := map[int]int{}, map[int]int{} // by message
	for _, d := range r.copies[a] {
		acknowledged[d.message.Number] += d.acknowledged
		sent[d.message.Number] += d.genuine
	}
	for number, n := range sent {
		least += max(0, acknowledged[number]-1)
		most += max(0, n-1)
	}
	return least, most
}

func between(least, most int) string {
	if least == most {
		return fmt.Sprint(least)
	}
	return fmt.Sprintf("%d to %d", least, most)
}

// State is what the developer's application answers about an agreement, as JSON. It is asked with the parameters
// provider and id. 404, or an empty status, means that it does not know the agreement.
type State struct {
	Status esign.Status `json:"status"`
	Events *int         `json:"events"` // how many different events it has handled; may be absent
}

func (r *run) compareApplication(ctx context.Context, a *story.Agreement) (differences []string) {
	address, err := url.Parse(r.StateURL)
	if err != nil {
		return []string{"the state URL cannot be parsed"}
	}
	query := address.Query()
	query.Set("provider", r.Provider.Info().Name)
	query.Set("id", a.ID)
	address.RawQuery = query.Encode()
	var state State
	found, err := r.get(ctx, address.String(), &state)
	if found = found && state.Status != ""; err != nil || !found || a.Truth.Status == "" {
		return unknown(a, found, err)
	}
	if state.Status != a.Truth.Status {
		differences = append(differences, fmt.Sprintf("status: %q instead of %q", state.Status, a.Truth.Status))
	}
	if state.Events != nil && *state.Events != a.Truth.Events {
		differences = append(differences, fmt.Sprintf("events: %d instead of %d", *state.Events, a.Truth.Events))
	}
	return differences
}

// cause returns why the receiver has refused the vendor's latest request, if its list of requests says so.
func (r *run) cause(ctx context.Context) string {
	var list struct {
		Requests []struct {
			Causes []webhook.Refusal `json:"causes"`
		} `json:"requests"`
	}
	address := strings.TrimSuffix(r.API, "/") + "/api/requests?limit=1&provider=" + r.Provider.Info().Name
	if found, err := r.get(ctx, address, &list); err != nil || !found || len(list.Requests) == 0 {
		return ""
	}
	for _, cause := range list.Requests[0].Causes {
		return ": " + cause.Code
	}
	return ""
}

// get reads JSON, and reports false if there is none.
func (r *run) get(ctx context.Context, address string, into any) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return false, errors.New("the URL cannot be parsed")
	}
	answer, err := r.Client.Do(request)
	if err != nil {
		return false, unquoted(err)
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusNotFound:
		return false, nil
	case http.StatusOK:
	default:
		return false, fmt.Errorf("answered with %d", answer.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, 16<<20))
	if err != nil {
		return false, unquoted(err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return false, errors.New("the answer is not the JSON that is expected")
	}
	return true, nil
}
