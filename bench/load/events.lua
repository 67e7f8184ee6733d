-- The requests of one load, for wrk. The bench puts a table `load` before this text:
--   head       the request line and headers, up to the body's length
--   templates  events, each cut where user id, message id and timestamp go in
--   users      how many users there are
--   batch      events of a request: 0 for one event without the envelope of a batch
--   distinct   whether a batch holds each user at most once
--   hot        share of the events that go to one user
--   seed       another one for each run, so that no message id comes twice
-- All strings are made beforehand; a request costs a few random numbers and one concatenation.

local ffi = require("ffi")
ffi.cdef([[ struct clock { long s; long us; }; int gettimeofday(struct clock *now, void *zone); ]])
local clock = ffi.new("struct clock")
local random, concat, floor = math.random, table.concat, math.floor

local function now_ms()
  ffi.C.gettimeofday(clock, nil)
  return tonumber(clock.s) * 1000 + floor(tonumber(clock.us) / 1000)
end

local hex, millis, users = {}, {}, {}
for i = 0, 65535 do hex[i] = string.format("%04x", i) end
for i = 0, 999 do millis[i] = string.format(".%03dZ", i) end
for i = 1, load.users do users[i] = "user_" .. i end
math.randomseed(load.seed)

-- A random UUID, as the client libraries send: the worst case for an ordered index.
local function message_id()
  return hex[random(0, 65535)] .. hex[random(0, 65535)] .. "-" .. hex[random(0, 65535)] .. "-4" ..
    string.sub(hex[random(0, 65535)], 2) .. "-" .. hex[random(0, 65535)] .. "-" ..
    hex[random(0, 65535)] .. hex[random(0, 65535)] .. hex[random(0, 65535)]
end

local second, second_text = 0, ""
local function iso(ms)
  local s = floor(ms / 1000)
  if s ~= second then second, second_text = s, os.date("!%Y-%m-%dT%H:%M:%S", s) end
  return second_text .. millis[ms % 1000]
end

-- With `distinct`, draw k of a batch swaps the k-th user with a random later one (Fisher and Yates).
local function draw_user(k)
  if load.hot > 0 and random() < load.hot then return "user_hot" end
  if not load.distinct then return users[random(1, load.users)] end
  local at = random(k, load.users)
  users[k], users[at] = users[at], users[k]
  return users[k]
end

local pieces = {}
local function put_event(at, k, ms)
  local template = load.templates[random(1, #load.templates)]
  pieces[at], pieces[at + 1], pieces[at + 2] = template[1], draw_user(k), template[2]
  pieces[at + 3], pieces[at + 4], pieces[at + 5] = message_id(), template[3], iso(ms)
  pieces[at + 6] = template[4]
end

local function body()
  local ms = now_ms() - 1
  if load.batch == 0 then
    put_event(1, 1, ms)
    return concat(pieces, "", 1, 7)
  end
  pieces[1] = '{"batch":['
  for k = 1, load.batch do
    put_event(8 * k - 6, k, ms - load.batch + k)
    pieces[8 * k + 1] = ","
  end
  pieces[8 * load.batch + 1] = '],"sentAt":"' .. iso(ms + 1) .. '"}'
  return concat(pieces, "", 1, 8 * load.batch + 1)
end

function request()
  local text = body()
  return load.head .. #text .. "\r\n\r\n" .. text
end

-- Percentiles at whole steps, and at tenths in the last one, so that slices can be joined by weight.
function done(summary, latency)
  local ended_ms, cpu_s = now_ms(), os.clock()
  io.write("ENDED\n")
  io.flush()
  local errors, quantiles = summary.errors, {}
  for p = 1, 99 do quantiles[p] = latency:percentile(p - 0.5) end
  for tenth = 0, 9 do quantiles[100 + tenth] = latency:percentile(99.05 + tenth / 10) end
  io.write(string.format(
    'LOAD {"endedMs":%d,"cpuS":%.3f,"requests":%d,"durationS":%.6f,"non2xx":%d,"socketErrors":%d,' ..
      '"p50Us":%d,"p99Us":%d,"maxUs":%d,"quantilesUs":[%s]}\n',
    ended_ms, cpu_s, summary.requests, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99), latency.max, concat(quantiles, ",")
  ))
end
