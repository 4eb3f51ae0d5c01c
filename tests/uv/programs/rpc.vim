" SPDX-License-Identifier: MIT
" Real work for neovim: it starts a second neovim, uses it over RPC, and makes it run jobs and timers.
" Its own threads wake it. Writes "done" to the file $OUT if all results are correct.
let s:failed = 0

function! s:check(condition, what) abort
	if !a:condition
		let s:failed = 1
		call writefile(['wrong: ' . a:what], $OUT, 'a')
	endif
endfunction

try
	let s:other = jobstart([v:progpath, '--clean', '--headless', '--embed'], {'rpc': v:true})
	call s:check(s:other > 0, 'start')
	let s:sum = 0
	for s:i in range(500)
		let s:sum += rpcrequest(s:other, 'nvim_eval', s:i . ' * 2')
	endfor
	call s:check(s:sum == 249500, 'sum')
	call rpcrequest(s:other, 'nvim_buf_set_lines', 0, 0, -1, v:true, ['c', 'a', 'b'])
	call rpcrequest(s:other, 'nvim_command', 'sort')
	let s:lines = rpcrequest(s:other, 'nvim_buf_get_lines', 0, 0, -1, v:true)
	call s:check(s:lines == ['a', 'b', 'c'], 'sort')
	call s:check(rpcrequest(s:other, 'nvim_eval', 'system("echo from a job")') == "from a job\n", 'job')
	call rpcnotify(s:other, 'nvim_command', 'quitall!')
	call s:check(jobwait([s:other], 10000)[0] == 0, 'end')

	let s:ticks = 0
	function! s:tick(timer) abort
		let s:ticks += 1
	endfunction
	call timer_start(1, function('s:tick'), {'repeat': 20})
	call wait(10000, {-> s:ticks == 20})
	call s:check(s:ticks == 20, 'timers')

	" A thread that works, and asyncs sent from others.
lua << LUA
	local loop = vim.loop
	results = { async = 0, work = 0 }
	local async
	async = loop.new_async(function() results.async = results.async + 1 end)
	local thread = loop.new_thread(function(handle)
		for _ = 1, 1000 do handle:send() end
	end, async)
	thread:join()
	local work = loop.new_work(function(number) return number * 2 end,
		function(number) results.work = results.work + number end)
	for i = 1, 100 do work:queue(i) end
	vim.wait(10000, function() return results.work == 10100 and results.async > 0 end)
	async:close()
LUA
	call s:check(luaeval('results.work') == 10100, 'work')
	call s:check(luaeval('results.async') > 0, 'async')
catch
	call s:check(0, v:exception . ' at ' . v:throwpoint)
endtry

if s:failed
	cquit
endif
call writefile(['done'], $OUT, 'a')
quitall!
