// SPDX-License-Identifier: MIT
// node-load.js CASE: what node does in a second:
//   http         answers of a server, to 32 connections of another process
//   http-pbkdf2  the same, each with a key that a worker of libuv's derives
//   stat-64      calls of fs.stat(), 64 under way
//   stat-1       one under way
//   messages     messages to a worker thread and back, all sent at once
//   ping-pong    one at a time
'use strict';
const { Worker, isMainThread, parentPort } = require('worker_threads');
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const { spawn } = require('child_process');

function seconds(begin) {
  return Number(process.hrtime.bigint() - begin) / 1e9;
}

function stats(under_way, count) {
  return new Promise((resolve, reject) => {
    const begin = process.hrtime.bigint();
    let started = 0, ended = 0;
    function next() {
      if (started === count)
        return;
      started++;
      fs.stat(__filename, (error) => {
        if (error)
          return reject(error);
        if (++ended === count)
          return resolve(count / seconds(begin));
        next();
      });
    }
    for (let i = 0; i < under_way; i++)
      next();
  });
}

function messages(under_way, count) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(__filename);
    let begin, sent = 0, answers = 0;
    worker.on('error', reject);
    worker.on('message', (message) => {
      if (message === 'ready')
        begin = process.hrtime.bigint();
      else if (++answers === count) {
        resolve(count / seconds(begin));
        return worker.postMessage('end');
      }
      const window = message === 'ready' ? under_way : 1;
      for (let i = 0; i < window && sent < count; i++)
        worker.postMessage(sent++);
    });
  });
}

// The client is a process of its own, without ringwake.
function serve(work, count) {
  return new Promise((resolve, reject) => {
    const server = http.createServer((request, response) => {
      work((text) => response.end(text));
    });
    server.keepAliveTimeout = 60000;
    server.listen(0, '127.0.0.1', () => {
      const env = Object.assign({}, process.env);
      delete env.LD_PRELOAD;
      const client = spawn(process.execPath, [__filename, 'client', server.address().port, count],
        { env, stdio: ['ignore', 'pipe', 'inherit'] });
      let text = '';
      client.stdout.on('data', (data) => text += data);
      client.on('close', (status) => {
        server.close();
        server.closeAllConnections();
        if (status === 0)
          resolve(Number(text));
        else
          reject(new Error(`client: ${status}`));
      });
    });
  });
}

function ask(port, count) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 32 });
  return new Promise((resolve, reject) => {
    let begin, asked = 0, answered = 0;
    const warm = count / 5;
    function next() {
      if (asked === count)
        return;
      if (asked++ === warm)
        begin = process.hrtime.bigint();
      http.get({ port, host: '127.0.0.1', agent }, (response) => {
        response.resume();
        response.on('end', () => {
          if (++answered === count) {
            agent.destroy();
            return resolve((count - warm) / seconds(begin));
          }
          next();
        });
      }).on('error', reject);
    }
    for (let i = 0; i < 32; i++)
      next();
  });
}

const cases = {
  'http': () => serve((done) => done('answer'), 10000),
  'http-pbkdf2': () => serve((done) => crypto.pbkdf2('secret', 'salt', 100, 32, 'sha256',
    (error, key) => done(key.toString('hex'))), 10000),
  'stat-64': () => stats(64, 100000),
  'stat-1': () => stats(1, 20000),
  'messages': () => messages(100000, 100000),
  'ping-pong': () => messages(1, 20000),
  'client': () => ask(Number(process.argv[3]), Number(process.argv[4])),
};

if (isMainThread) {
  cases[process.argv[2]]().then((figure) => console.log(figure), (error) => {
    console.error(error);
    process.exit(1);
  });
} else {
  parentPort.on('message', (message) => {
    if (message === 'end')
      return parentPort.close();
    parentPort.postMessage(message);
  });
  parentPort.postMessage('ready');
}
