package main

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"esignhooks/shared/provider"
	"esignhooks/shared/webhook"
)

// stubs answer for DynamoDB, SQS, Secrets Manager and S3, each at an address of its own, and count the calls. They let
// every new event succeed. They remember agreements only.
type stubs struct {
	servers   []*httptest.Server
	variables []string     // make clients find and trust the stubs
	delay     atomic.Int64 // time.Duration before each answer

	mu           sync.Mutex
	calls, bytes int               // bytes of requests' bodies
	items        map[string]string // put by transactions, as JSON, by key
}

// urlToken is in the URLs of providers whose signature does not cover the whole request, as by default in AWS.
const urlToken = "Zm9yIG1lYXN1cmluZyBvbmx5IQ"

func open(dir string, secure bool) *stubs {
	s := &stubs{items: map[string]string{}}
	certificate := tls.Certificate{}
	if secure {
		certificate = s.certify(dir)
	}
	for _, service := range []string{"DYNAMODB", "SQS", "SECRETS_MANAGER", "S3"} {
		server := httptest.NewUnstartedServer(s)
		if server.TLS = (&tls.Config{Certificates: []tls.Certificate{certificate}}); secure {
			server.StartTLS()
		} else {
			server.Start()
		}
		s.servers = append(s.servers, server)
		s.variables = append(s.variables, "AWS_ENDPOINT_URL_"+service+"="+server.URL)
		if service == "SQS" {
			s.variables = append(s.variables, "QUEUE_URL="+server.URL+"/123456789012/deliveries.fifo",
				"DEAD_LETTER_QUEUE_URL="+server.URL+"/123456789012/dead.fifo")
		}
	}
	return s
}

func (s *stubs) close() {
	for _, server := range s.servers {
		server.CloseClientConnections()
		server.Close()
	}
}

// environment returns what the template sets. The role is a receiver's provider, or worker.
func (s *stubs) environment(role string, megabytes int) []string {
	return append([]string{
		"TABLE_NAME=table", "PAYLOAD_BUCKET=payloads", "METRICS_NAMESPACE=esignhooks/bench", "EXPIRE_AFTER_DAYS=0",
		"REQUIRE_URL_TOKEN=true", "SECRET_ARN=" + role,
		"GOGC=400", "GOMAXPROCS=1", fmt.Sprintf("GOMEMLIMIT=%dMiB", megabytes*220/256), // the same for baselines
	}, s.variables...)
}

func (s *stubs) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls, s.bytes = 0, 0
}

func (s *stubs) used() (calls, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls, s.bytes
}

// ServeHTTP serves AWS's JSON protocols, and S3's PutObject.
//
// SPEC: https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html. DynamoDB sends a checksum, which the SDK
// compares: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html
func (s *stubs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	operation = cmp.Or(operation, r.Method)
	s.mu.Lock()
	s.calls, s.bytes = s.calls+1, s.bytes+len(body)
	answer, code := s.answer(operation, body)
	s.mu.Unlock()
	time.Sleep(time.Duration(s.delay.Load()))
	status := http.StatusOK
	if code != "" {
		status, answer = http.StatusBadRequest, fmt.Sprintf(`{"__type":"com.amazonaws#%s","message":"%s"}`, code, operation)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	w.Header().Set("ETag", `"b54357faf0632cce46e942fa68356b38"`)
	w.Header().Set("X-Amzn-Requestid", "V3RKD3GJ5HVQ0JDEXAMPLEREQUESTIDVV4KQNSO5AEMVJF66Q9ASUAAJG")
	w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(answer))), 10))
	w.WriteHeader(status)
	io.WriteString(w, answer)
}

// input holds the fields of all operations that the stubs read.
type input struct {
	SecretId, MessageBody string
	Key                   key
	TransactItems         []struct {
		Put struct{ Item json.RawMessage }
	}
}

type key struct{ PK, SK struct{ S string } }

func (k key) String() string { return k.PK.S + " " + k.SK.S }

// answer returns the answer to a call, or AWS's code of an error.
func (s *stubs) answer(operation string, body []byte) (answer, code string) {
	var in input
	if operation != http.MethodPut && json.Unmarshal(body, &in) != nil {
		return "", "SerializationException"
	}
	switch operation {
	case http.MethodPut:
		return "", ""
	case "PutItem":
		return "{}", ""
	case "UpdateItem": // opens a connection during INIT; its condition never holds
		return "", "ConditionalCheckFailedException"
	case "BatchGetItem":
		return `{"Responses":{},"UnprocessedKeys":{}}`, ""
	case "GetItem":
		if item := s.items[in.Key.String()]; item != "" {
			return `{"Item":` + item + `}`, ""
		}
		return "{}", ""
	case "TransactWriteItems":
		for _, t := range in.TransactItems {
			var k key
			if json.Unmarshal(t.Put.Item, &k) == nil {
				s.items[k.String()] = string(t.Put.Item)
			}
		}
		return "{}", ""
	case "SendMessage": // the SDK compares the MD5
		if in.MessageBody == "" { // opens a connection during INIT
			return "", "MissingParameter"
		}
		sum := md5.Sum([]byte(in.MessageBody))
		return `{"MD5OfMessageBody":"` + hex.EncodeToString(sum[:]) +
			`","MessageId":"5fea7756-0ea4-451a-a703-a558b933e274",` +
			`"SequenceNumber":"18849496460467696128"}`, ""
	case "GetSecretValue":
		p, ok := webhook.Find(provider.All(), in.SecretId)
		if !ok {
			return "", "ResourceNotFoundException"
		}
		keys := must(json.Marshal(webhook.StoredKeys{Keys: []string{p.Info().DevelopmentKey}, URLToken: urlToken}))
		return string(must(json.Marshal(map[string]any{
			"ARN": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:" + in.SecretId, "Name": in.SecretId,
			"CreatedDate": 1793611800.0, "SecretString": string(keys), "VersionStages": []string{"AWSCURRENT"},
			"VersionId": "a1b2c3d4-5678-90ab-cdef-EXAMPLE11111",
		}))), ""
	}
	return "", "UnknownOperationException"
}

// certify returns a certificate for 127.0.0.1. Clients trust it in addition to those that the machine trusts.
func (s *stubs) certify(dir string) tls.Certificate {
	private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, private.Public(), private))
	var bundle []byte
	for _, file := range []string{
		"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem",
	} {
		if b, err := os.ReadFile(file); err == nil && bundle == nil {
			bundle = b
		}
	}
	file := filepath.Join(dir, "certificates.pem")
	bundle = append(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	check(os.WriteFile(file, bundle, 0o600))
	s.variables = []string{"SSL_CERT_FILE=" + file, "SSL_CERT_DIR=" + filepath.Join(dir, "empty")}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
}
