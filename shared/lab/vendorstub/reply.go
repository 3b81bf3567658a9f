package vendorstub

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// handler answers a request while the server's mutex is held.
type handler func(*http.Request) *reply

// reply is an answer. It is written when the mutex is free again, so that a slow reader blocks nobody.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// object is a JSON object.
type object = map[string]any

// routes serves handlers by "METHOD /path" below a prefix. Each goes through admit first, unless that is nil.
func (s *Server) routes(mux *http.ServeMux, prefix string, admit func(handler) handler, handlers map[string]handler) {
	for pattern, handle := range handlers {
		if admit != nil {
			handle = admit(handle)
		}
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" "+prefix+path, func(w http.ResponseWriter, r *http.Request) {
			s.answer(handle, r).write(w)
		})
	}
}

func (s *Server) answer(handle handler, r *http.Request) *reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	return handle(r)
}

func (a *reply) write(w http.ResponseWriter) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	w.Write(a.body)
}

// with adapts a handler that needs what find returns. If find refuses, that is the answer.
func with[T any](find func(*http.Request) (T, *reply), handle func(*http.Request, T) *reply) handler {
	return func(r *http.Request) *reply {
		found, refused := find(r)
		if refused != nil {
			return refused
		}
		return handle(r, found)
	}
}

// status answers without a body.
func status(code int) *reply { return &reply{status: code, header: http.Header{}} }

// answer answers with JSON.
func answer(code int, v any) *reply {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return &reply{code, http.Header{"Content-Type": {"application/json"}}, body}
}

// document answers with a document of an agreement. Its kind distinguishes the documents of one agreement.
func document(a *Agreement, kind string) *reply {
	pdf := a.PDF
	if pdf == nil {
		pdf = PDF(a.ID + " " + kind)
	}
	header := http.Header{"Content-Type": {"application/pdf"}, "Content-Length": {fmt.Sprint(len(pdf))}}
	if a.Truncated {
		pdf = pdf[:len(pdf)/2]
	}
	return &reply{http.StatusOK, header, pdf}
}

// page returns size elements from an index on, never nil.
func page(all []any, from, size int) []any {
	from = min(from, len(all))
	return append([]any{}, all[from:min(from+size, len(all))]...)
}

// PDF returns a small valid PDF that shows a text.
func PDF(text string) []byte {
	content := fmt.Sprintf("BT /F1 24 Tf 72 720 Td (%s) Tj ET", text)
	objects := []string{
		"<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
		fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", len(content), content),
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
	}
	out, offsets := "%PDF-1.4\n", ""
	for i, object := range objects {
		offsets += fmt.Sprintf("%010d 00000 n \n", len(out))
		out += fmt.Sprintf("%d 0 obj\n%s\nendobj\n", i+1, object)
	}
	const trailer = "%sxref\n0 6\n0000000000 65535 f \n%strailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
	return fmt.Appendf(nil, trailer, out, offsets, len(out))
}
