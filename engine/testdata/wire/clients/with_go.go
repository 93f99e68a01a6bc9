// A short conversation of the Go client. Arguments: address.
package main

import (
	"os"
	"time"

	"github.com/go-zookeeper/zk"
)

func main() {
	connection, events, err := zk.Connect([]string{os.Args[1]}, 4*time.Second)
	if err != nil {
		panic(err)
	}
	connected := func() {
		for event := range events {
			if event.State == zk.StateHasSession {
				return
			}
		}
	}
	connected()
	open := zk.WorldACL(zk.PermAll)
	connection.Create("/g", []byte("data"), 0, open)
	connection.Create("/g/e-", nil, zk.FlagEphemeral|zk.FlagSequence, open)
	connection.CreateTTL("/g/ttl", nil, zk.FlagTTL|zk.FlagEphemeral, open, 10*time.Minute)
	connection.ExistsW("/g")
	connection.Set("/g", []byte("more"), 0)
	connection.Set("/g", []byte("more"), 0)
	connection.GetW("/g")
	connection.ChildrenW("/g")
	connection.AddAuth("digest", []byte("user:secret"))
	connection.Create("/g/mine", nil, 0, zk.DigestACL(zk.PermAll, "user", "secret"))
	connection.GetACL("/g/mine")
	connection.Multi(&zk.CreateRequest{Path: "/g/m", Data: []byte("1"), Acl: open},
		&zk.SetDataRequest{Path: "/g/m", Data: []byte("2"), Version: 0},
		&zk.CheckVersionRequest{Path: "/g/m", Version: 1},
		&zk.DeleteRequest{Path: "/g/m", Version: 1})
	connection.Multi(&zk.CheckVersionRequest{Path: "/g", Version: 1},
		&zk.DeleteRequest{Path: "/g/none", Version: -1})
	connection.Sync("/g")
	time.Sleep(2 * time.Second)
	connection.Exists("/cut")
	connected()
	connection.Delete("/g/mine", -1)
	connection.Close()
}
