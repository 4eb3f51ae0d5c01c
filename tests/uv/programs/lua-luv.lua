-- SPDX-License-Identifier: MIT
-- Real work for Lua's binding of libuv: asyncs from threads, work, timers, processes, files, sockets.
-- Prints a line for each part whose results are correct.
local uv = require('luv')

local function check(condition, what)
  if not condition then
    io.stderr:write('wrong: ' .. what .. '\n')
    os.exit(1)
  end
end

-- Eight threads, each with its own async, whose sends coalesce.
local function asyncs()
  local threads, closed = {}, 0
  for i = 1, 8 do
    local async, last = nil, 0
    async = uv.new_async(function(number)
      check(number >= last, 'order')
      last = number
      if number == 1000 then
        threads[i]:join() -- it uses the handle until then
        async:close(function() closed = closed + 1 end)
      end
    end)
    threads[i] = uv.new_thread(function(handle)
      local inner = require('luv')
      for number = 1, 1000 do
        handle:send(number)
        if number % 100 == 0 then inner.sleep(1) end
      end
    end, async)
  end
  uv.run()
  check(closed == 8, 'asyncs')
end

local function work()
  local sum = 0
  local context = uv.new_work(function(number) return number * 2 end, function(number) sum = sum + number end)
  for number = 1, 2000 do context:queue(number) end
  uv.run()
  check(sum == 2000 * 2001, 'work')
end

local function one_at_a_time()
  local left, context = 2000, nil
  context = uv.new_work(function() return 1 end, function(number)
    left = left - number
    if left > 0 then context:queue() end
  end)
  context:queue()
  uv.run()
  check(left == 0, 'one at a time')
end

local function files()
  local name, done = os.tmpname(), 0
  for i = 1, 200 do
    uv.fs_stat(name, function(err, stat)
      check(not err and stat.size == 0, 'stat')
      done = done + 1
    end)
    uv.fs_open(name .. i, 'w', 384, function(failed, descriptor)
      check(not failed, 'open')
      uv.fs_write(descriptor, 'text', 0, function(err, count)
        check(not err and count == 4, 'write')
        uv.fs_close(descriptor, function()
          uv.fs_unlink(name .. i, function() done = done + 1 end)
        end)
      end)
    end)
  end
  uv.run()
  os.remove(name)
  check(done == 400, 'files')
end

local function processes()
  local ended = 0
  for i = 1, 20 do
    local handle
    handle = uv.spawn('/bin/sh', { args = { '-c', 'exit ' .. i } }, function(code)
      check(code == i, 'status')
      ended = ended + 1
      handle:close()
    end)
  end
  uv.run()
  check(ended == 20, 'processes')
end

local function sockets()
  local server, received = uv.new_tcp(), 0
  server:bind('127.0.0.1', 0)
  server:listen(128, function()
    local peer = uv.new_tcp()
    server:accept(peer)
    peer:read_start(function(_, data)
      if data then peer:write(data) else peer:close() end
    end)
  end)
  local port = server:getsockname().port
  for _ = 1, 20 do
    local client, bytes = uv.new_tcp(), 0
    client:connect('127.0.0.1', port, function(err)
      check(not err, 'connect')
      client:write(string.rep('z', 50000))
      client:read_start(function(_, data)
        bytes = bytes + #data
        if bytes == 50000 then
          received = received + bytes
          client:close()
          if received == 20 * 50000 then server:close() end
        end
      end)
    end)
  end
  uv.run()
  check(received == 20 * 50000, 'sockets')
end

local function timers()
  local count, timer = 0, uv.new_timer()
  timer:start(1, 1, function()
    count = count + 1
    if count == 50 then timer:close() end
  end)
  uv.run()
  check(count == 50, 'timers')
end

local function descriptors()
  local count, request = 0, uv.fs_scandir('/proc/self/fd')
  while uv.fs_scandir_next(request) do count = count + 1 end
  return count
end

-- The first round opens what stays open, such as the loops of the worker threads.
local before
for round = 1, 2 do
  for _, task in ipairs({
    { 'asyncs', asyncs }, { 'work', work }, { 'one at a time', one_at_a_time }, { 'files', files },
    { 'processes', processes }, { 'sockets', sockets }, { 'timers', timers },
  }) do
    task[2]()
    print(task[1])
    io.stdout:flush()
  end
  collectgarbage()
  before = before or descriptors()
end
local after = descriptors()
print(after <= before and 'no descriptor more' or before .. ' to ' .. after .. ' descriptors')
