package apitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/gorilla/websocket"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/remotecommand"
)

// An Exec is a command in a container.
type Exec struct {
	Pod            *corev1.Pod
	Container      string
	Command        []string
	Stdout, Stderr bytes.Buffer
}

// exec speaks the protocol v5.channel.k8s.io: each message begins with the number of its stream.
func (s *Server) exec(w http.ResponseWriter, r *http.Request, pod *corev1.Pod) {
	upgrader := websocket.Upgrader{Subprotocols: []string{remotecommand.StreamProtocolV5Name}, CheckOrigin: func(*http.Request) bool { return true }}
	connection, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // the upgrader has told the client
	}
	defer func() { _ = connection.Close() }()
	query := r.URL.Query()
	e := &Exec{Pod: pod, Container: query.Get("container"), Command: query["command"]}
	status := metav1.Status{Status: metav1.StatusSuccess}
	if exit := s.Exec(e); exit != 0 {
		status = metav1.Status{
			Status: metav1.StatusFailure, Reason: remotecommand.NonZeroExitCodeReason,
			Message: fmt.Sprintf("command terminated with non-zero exit code: exit status %d", exit),
			Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: remotecommand.ExitCodeCauseType, Message: fmt.Sprint(exit)}}},
		}
	}
	ended, err := json.Marshal(status)
	if err != nil {
		panic(err)
	}
	for stream, content := range map[byte][]byte{
		remotecommand.StreamStdOut: e.Stdout.Bytes(),
		remotecommand.StreamStdErr: e.Stderr.Bytes(),
	} {
		if len(content) > 0 {
			_ = connection.WriteMessage(websocket.BinaryMessage, append([]byte{stream}, content...)) // a client that is gone
		}
	}
	_ = connection.WriteMessage(websocket.BinaryMessage, append([]byte{remotecommand.StreamErr}, ended...))
	_ = connection.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
}
