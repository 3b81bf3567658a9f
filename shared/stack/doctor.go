package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"time"

	"esignhooks/shared/operate"
	"esignhooks/shared/operate/doctor"
	"esignhooks/shared/provider"
	"esignhooks/shared/webhook"
)

// Doctor examines what is between the vendors and the stack, and writes the report. It sends only requests of which the
// stack stores nothing. Empty strings ask for all providers, and for the stack's own URLs.
func (s *Stack) Doctor(ctx context.Context, w io.Writer, name, given string) error {
	var all, patients []doctor.Patient
	for _, p := range provider.All() {
		all = append(all, doctor.Patient{Provider: p})
	}
	asked, err := doctor.Select(all, name, "")
	if err != nil {
		return err
	}
	var others []doctor.Finding // of the vendors that cannot be examined
	for _, a := range asked {
		p, err := s.patient(ctx, a.Provider)
		f := doctor.Finding{Group: a.Provider.Info().Title, Check: "keys", Level: doctor.NotChecked}
		switch {
		case err == nil:
			patients = append(patients, p)
			continue
		case errors.Is(err, operate.ErrDisabled):
			f.Text = err.Error()
		default:
			f.Level, f.Text = doctor.Failure, fmt.Sprintf("%v: repair the secret, or deploy the stack again", err)
		}
		others = append(others, f)
	}
	if len(patients) == 0 {
		return doctor.Report(w, others)
	}
	if patients, err = doctor.Select(patients, "", given); err != nil {
		return err
	}
	var servers []string
	for _, p := range patients {
		server, err := url.Parse(p.Address)
		if err != nil {
			return errors.New("stack: the URL of a webhook cannot be parsed")
		}
		if !p.Keys.Certificates.Demanded() { // or it answers nothing
			servers = append(servers, server.Scheme+"://"+server.Host+"/")
		}
	}
	d := &doctor.Doctor{Now: time.Now, Roots: s.roots}
	return doctor.Report(w, slices.Concat([]doctor.Finding{d.Clock(ctx, slices.Compact(servers)...)},
		d.Examine(ctx, patients, patients), others))
}

// patient is the webhook of a provider of the stack.
func (s *Stack) patient(ctx context.Context, p webhook.Provider) (doctor.Patient, error) {
	name := p.Info().Name
	stored, err := s.stored(ctx, name)
	if err != nil {
		return doctor.Patient{}, err
	}
	address, keys, err := s.webhook(ctx, name)
	if err != nil {
		return doctor.Patient{}, err
	}
	place := "the secret " + s.output(name, "Secret")
	patient := doctor.Patient{
		Provider: p, Keys: keys, Problems: doctor.Written(stored.Keys), Place: place, TokenPlace: place,
		Address: keys.URL(address),
	}
	patient.Keys.Certificates, err = webhook.ParseClientCertificates(s.parameters["MutualTlsDomain"],
		s.parameters[p.Info().Resource+"ClientSubjects"])
	if err != nil {
		return doctor.Patient{}, fmt.Errorf("%sClientSubjects: %w", p.Info().Resource, err)
	}
	patient.Client, patient.ClientErr = s.client(ctx, name)
	return patient, nil
}
