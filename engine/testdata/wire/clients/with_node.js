// A short conversation of node-zookeeper-client. Arguments: address.
const zookeeper = require('node-zookeeper-client');

const client = zookeeper.createClient(process.argv[2], { sessionTimeout: 4000, retries: 0 });
const ask = (name, ...args) =>
  new Promise((done) => client[name](...args, (error, ...results) => done(error || results)));
const connected = () => new Promise((done) => client.once('connected', done));
const ignore = () => {};

async function main() {
  const first = connected();
  client.connect();
  await first;
  await ask('create', '/n', Buffer.from('data'));
  await ask('create', '/n/e-', zookeeper.CreateMode.EPHEMERAL_SEQUENTIAL);
  await ask('exists', '/n', ignore);
  await ask('setData', '/n', Buffer.from('more'), 0);
  await ask('setData', '/n', Buffer.from('more'), 0);
  await ask('getData', '/n', ignore);
  await ask('getChildren', '/n', ignore);
  client.addAuthInfo('digest', Buffer.from('user:secret'));
  await ask('create', '/n/mine', null, zookeeper.ACL.CREATOR_ALL_ACL);
  await ask('getACL', '/n/mine');
  await new Promise((done) => client.transaction().create('/n/m', Buffer.from('1'))
    .setData('/n/m', Buffer.from('2'), 0).check('/n/m', 1).remove('/n/m', 1).commit(done));
  await new Promise((done) => client.transaction().check('/n', 1).remove('/n/none').commit(done));
  await new Promise((done) => setTimeout(done, 2500));
  const second = connected();
  await ask('exists', '/cut');
  await second;
  await ask('remove', '/n/mine', -1);
  client.close();
}

main();
