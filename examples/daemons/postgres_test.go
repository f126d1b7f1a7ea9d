package daemons_test

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// A postgres is a connection to PostgreSQL, or to PgBouncer, which speaks the same:
// https://www.postgresql.org/docs/15/protocol-flow.html
type postgres struct {
	net.Conn
	reader *bufio.Reader
}

// session logs in and leaves the connection open.
func session(database string) func() (net.Conn, error) {
	return func() (net.Conn, error) { return login(database) }
}

// value asks for a value in a table of two columns or more, in a new session.
func value(database, query, key string) func() (string, error) {
	return func() (string, error) {
		p, err := login(database)
		if err != nil {
			return "", err
		}
		defer p.Close()
		p.send('Q', query+"\x00")
		for {
			row, err := p.await('D')
			if err != nil {
				return "", err
			}
			// The number of columns, then each with its length before it.
			first, rest := column(row[2:])
			if first == key {
				second, _ := column(rest)
				return second, nil
			}
		}
	}
}

func column(row []byte) (content string, rest []byte) {
	length := binary.BigEndian.Uint32(row)
	return string(row[4 : 4+length]), row[4+length:]
}

// login begins a session as the examples' user, by SCRAM-SHA-256 (RFC 7677).
func login(database string) (*postgres, error) {
	conn, err := net.Dial("tcp", "127.0.0.1:5432")
	if err != nil {
		return nil, err
	}
	p := &postgres{conn, bufio.NewReader(conn)}
	if err := errors.Join(
		conn.SetDeadline(time.Now().Add(10*time.Second)),
		p.authenticate("postgres", "change-me", database),
	); err != nil {
		conn.Close()
		return nil, err
	}
	return p, nil
}

func (p *postgres) authenticate(user, password, database string) error {
	const first = "n=,r=podsignal"
	p.send(0, "\x00\x03\x00\x00user\x00"+user+"\x00database\x00"+database+"\x00\x00")
	if _, err := p.await('R'); err != nil {
		return err
	}
	p.send('p', "SCRAM-SHA-256\x00"+string(binary.BigEndian.AppendUint32(nil, uint32(len("n,,"+first))))+"n,,"+first)
	challenge, err := p.await('R')
	if err != nil {
		return err
	}
	server := string(challenge[4:])
	var nonce, salt64 string
	var iterations int
	if _, err := fmt.Sscanf(strings.ReplaceAll(server, ",", " "), "r=%s s=%s i=%d", &nonce, &salt64, &iterations); err != nil {
		return fmt.Errorf("%s: %w", server, err)
	}
	salt, err := base64.StdEncoding.DecodeString(salt64)
	if err != nil {
		return err
	}
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return err
	}
	final := "c=biws,r=" + nonce
	key := hash(salted, "Client Key")
	stored := sha256.Sum256(key)
	proof := hash(stored[:], first+","+server+","+final)
	for i := range proof {
		proof[i] ^= key[i]
	}
	p.send('p', final+",p="+base64.StdEncoding.EncodeToString(proof))
	_, err = p.await('Z') // ready for a query
	return err
}

func hash(key []byte, message string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(message))
	return mac.Sum(nil)
}

// send sends a message; what fails is noticed when its answer is awaited. The first
// message of a session has no kind.
func (p *postgres) send(kind byte, body string) {
	var message []byte
	if kind != 0 {
		message = append(message, kind)
	}
	message = binary.BigEndian.AppendUint32(message, uint32(4+len(body)))
	_, _ = p.Write(append(message, body...))
}

// await returns the body of the next message of a kind.
func (p *postgres) await(kind byte) ([]byte, error) {
	for {
		header := make([]byte, 5)
		if _, err := io.ReadFull(p.reader, header); err != nil {
			return nil, err
		}
		body := make([]byte, binary.BigEndian.Uint32(header[1:])-4)
		if _, err := io.ReadFull(p.reader, body); err != nil {
			return nil, err
		}
		switch header[0] {
		case kind:
			return body, nil
		case 'E':
			return nil, errors.New(string(bytes.ReplaceAll(body, []byte{0}, []byte{' '})))
		}
	}
}
