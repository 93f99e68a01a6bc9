/* A short conversation of the C client. Arguments: address. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>

static volatile int connections;

static void watch(zhandle_t *zk, int type, int state, const char *path, void *context) {
  (void)zk, (void)path, (void)context;
  if (type == ZOO_SESSION_EVENT && state == ZOO_CONNECTED_STATE) connections++;
}

static volatile int is_authenticated;

static void authenticated(int rc, const void *data) {
  (void)rc, (void)data;
  is_authenticated = 1;
}

static void wait_for(volatile int *number, int value) {
  while (*number < value) usleep(10000);
}

int main(int count, char **arguments) {
  if (count < 2) return 1;
  zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
  zhandle_t *zk = zookeeper_init(arguments[1], watch, 4000, 0, 0, 0);
  wait_for(&connections, 1);
  char name[256];
  int length = sizeof name;
  struct Stat stat;
  struct String_vector names;
  struct ACL_vector acl;
  zoo_create(zk, "/c", "data", 4, &ZOO_OPEN_ACL_UNSAFE, 0, name, sizeof name);
  zoo_create(zk, "/c/e-", NULL, -1, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL | ZOO_SEQUENCE, name,
             sizeof name);
  zoo_exists(zk, "/c", 1, &stat);
  zoo_set2(zk, "/c", "more", 4, 0, &stat);
  zoo_set(zk, "/c", "more", 4, 0);
  zoo_get(zk, "/c", 1, name, &length, &stat);
  zoo_get_children(zk, "/c", 1, &names);
  zoo_get_children2(zk, "/c", 0, &names, &stat);
  zoo_add_auth(zk, "digest", "user:secret", 11, authenticated, NULL);
  wait_for(&is_authenticated, 1);
  zoo_create(zk, "/c/mine", "", 0, &ZOO_CREATOR_ALL_ACL, 0, name, sizeof name);
  zoo_get_acl(zk, "/c/mine", &acl, &stat);
  zoo_op_t ops[4];
  zoo_op_result_t results[4];
  zoo_create_op_init(&ops[0], "/c/m", "1", 1, &ZOO_OPEN_ACL_UNSAFE, 0, name, sizeof name);
  zoo_set_op_init(&ops[1], "/c/m", "2", 1, 0, &stat);
  zoo_check_op_init(&ops[2], "/c/m", 1);
  zoo_delete_op_init(&ops[3], "/c/m", 1);
  zoo_multi(zk, 4, ops, results);
  zoo_check_op_init(&ops[0], "/c", 1);
  zoo_delete_op_init(&ops[1], "/c/none", -1);
  zoo_multi(zk, 2, ops, results);
  sleep(2);
  zoo_exists(zk, "/cut", 0, &stat);
  wait_for(&connections, 2);
  zoo_delete(zk, "/c/mine", -1);
  return zookeeper_close(zk);
}
