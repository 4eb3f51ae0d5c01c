// SPDX-License-Identifier: MIT
// Real work for node: storms of messages between threads, files, compression and keys from libuv's
// workers, sockets, timers and a child process. Prints "done" if all results are correct.
'use strict';
const { Worker, isMainThread, parentPort } = require('worker_threads');
const assert = require('assert');
const child_process = require('child_process');
const crypto = require('crypto');
const fs = require('fs');
const net = require('net');
const os = require('os');
const path = require('path');
const zlib = require('zlib');
const { promisify } = require('util');

if (!isMainThread) {
  let sum = 0;
  parentPort.on('message', (number) => {
    if (number < 0)
      return parentPort.close();
    sum += number;
    parentPort.postMessage(sum);
  });
  return;
}

function storm(count) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(__filename);
    let answers = 0, last = 0;
    worker.on('message', (sum) => {
      assert(sum >= last);
      last = sum;
      if (++answers === count)
        worker.postMessage(-1);
    });
    worker.on('error', reject);
    worker.on('exit', () => {
      try {
        assert.strictEqual(last, count * (count - 1) / 2);
        resolve();
      } catch (error) {
        reject(error);
      }
    });
    for (let i = 0; i < count; i++)
      worker.postMessage(i);
  });
}

// One message at a time: the other side is blocked before each message.
function pingPong(count) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(__filename);
    let answers = 0;
    worker.on('message', () => worker.postMessage(++answers < count ? 1 : -1));
    worker.on('error', reject);
    worker.on('exit', () => answers === count ? resolve() : reject(new Error('lost')));
    worker.postMessage(1);
  });
}

async function files(directory, count) {
  await Promise.all(Array.from({ length: count }, async (_, i) => {
    const name = path.join(directory, `file${i}`);
    const text = `${i}`.repeat(1000);
    await fs.promises.writeFile(name, text);
    assert.strictEqual(await fs.promises.readFile(name, 'utf8'), text);
    assert.strictEqual((await fs.promises.stat(name)).size, text.length);
    await fs.promises.unlink(name);
  }));
}

async function keys(count) {
  const first = await promisify(crypto.pbkdf2)('secret', 'salt', 1000, 32, 'sha256');
  await Promise.all(Array.from({ length: count }, async () => {
    const key = await promisify(crypto.pbkdf2)('secret', 'salt', 1000, 32, 'sha256');
    assert(key.equals(first));
    const bytes = await promisify(crypto.randomBytes)(10000);
    const packed = await promisify(zlib.gzip)(bytes);
    assert(bytes.equals(await promisify(zlib.gunzip)(packed)));
  }));
}

function sockets(directory, count) {
  return new Promise((resolve, reject) => {
    const server = net.createServer((socket) => socket.pipe(socket));
    server.listen(path.join(directory, 'socket'), () => {
      let open = count;
      for (let i = 0; i < count; i++) {
        const socket = net.connect(path.join(directory, 'socket'));
        let received = 0;
        socket.on('data', (data) => {
          received += data.length;
          if (received === 100000)
            socket.end();
        });
        socket.on('error', reject);
        socket.on('close', () => {
          if (received !== 100000)
            reject(new Error(`${received} bytes came back`));
          if (--open === 0)
            server.close(resolve);
        });
        socket.write(Buffer.alloc(100000));
      }
    });
  });
}

async function main() {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'storm-'));
  const ticks = setInterval(() => {}, 1);
  await Promise.all([
    storm(20000), storm(20000), pingPong(2000),
    files(directory, 200), keys(50), sockets(directory, 10),
  ]);
  const child = await promisify(child_process.execFile)('/bin/echo', ['child']);
  assert.strictEqual(child.stdout, 'child\n');
  for (let i = 0; i < 5; i++) { // threads that the test terminates
    const worker = new Worker(__filename);
    worker.postMessage(1);
    await worker.terminate();
  }
  clearInterval(ticks);
  fs.rmdirSync(directory);
  console.log('done');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
