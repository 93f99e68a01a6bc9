"""A short conversation of kazoo. Arguments: address."""

import sys
import time

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import BadVersionError
from kazoo.security import make_digest_acl

zk = KazooClient(hosts=sys.argv[1], timeout=4)
states = []
zk.add_listener(states.append)
zk.start()
zk.create("/p", b"data")
zk.create("/p/e-", b"", ephemeral=True, sequence=True)
zk.create("/p/with-stat", b"", include_data=True)
zk.exists("/p", watch=lambda event: None)
zk.set("/p", b"more", version=0)
try:
    zk.set("/p", b"more", version=0)
except BadVersionError:
    zk.get("/p", watch=lambda event: None)
zk.get_children("/p", watch=lambda event: None)
zk.get_children("/p", include_data=True)
zk.add_auth("digest", "user:secret")
zk.create("/p/mine", b"", acl=[make_digest_acl("user", "secret", all=True)])
zk.get_acls("/p/mine")
transaction = zk.transaction()
transaction.create("/p/m", b"1")
transaction.set_data("/p/m", b"2", version=0)
transaction.check("/p/m", version=1)
transaction.delete("/p/m")
transaction.commit()
transaction = zk.transaction()
transaction.check("/p", version=1)
transaction.delete("/p/none")
transaction.commit()
zk.sync("/p")
time.sleep(2)
zk.exists("/cut")
while states[-2:] != [KazooState.SUSPENDED, KazooState.CONNECTED]:
    time.sleep(0.05)
zk.delete("/p/mine")
zk.stop()
zk.close()
