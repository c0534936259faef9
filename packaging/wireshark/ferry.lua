-- A dissector of the ferry protocol for Wireshark and tshark, 3.6 and later.
--
-- It is used for TCP port 9900, and for connections on other ports whose segments begin with what looks like a header.
-- Put this file into the folder of personal Lua plugins (Help, About Wireshark, Folders), or name it:
-- tshark -X lua_script:ferry.lua -r FILE

local MIN_HEADER_BYTES = 2
local MAX_HEADER_BYTES = 65536
local LENGTH_BYTES = 4
local PIECE_HEADER_BYTES = 12
local PORT = 9900

local ferry = Proto("ferry", "ferry file transfer")

local PIECE_KINDS = { [0] = "raw", [1] = "first", [2] = "next", [3] = "forget" }

local f = {
  kind = ProtoField.string("ferry.kind", "Kind"),
  length = ProtoField.int32("ferry.length", "Length of the header", base.DEC),
  header = ProtoField.string("ferry.header", "Header"),
  op = ProtoField.string("ferry.op", "Operation"),
  status = ProtoField.string("ferry.status", "Status"),
  code = ProtoField.string("ferry.code", "Error code"),
  message = ProtoField.string("ferry.message", "Error message"),
  filename = ProtoField.string("ferry.filename", "Name"),
  md5 = ProtoField.string("ferry.md5", "MD5"),
  total_size = ProtoField.uint64("ferry.total_size", "Size of the body"),
  reply_to = ProtoField.framenum("ferry.reply_to", "Reply to the request in", base.NONE, frametype.REQUEST),
  body = ProtoField.bytes("ferry.body", "Body"),
  piece_kind = ProtoField.uint8("ferry.piece.kind", "Kind of the piece", base.DEC, PIECE_KINDS),
  piece_content = ProtoField.uint24("ferry.piece.content", "Bytes of content", base.DEC),
  piece_length = ProtoField.uint32("ferry.piece.length", "Bytes that follow", base.DEC),
  compressed = ProtoField.bytes("ferry.compressed", "Compressed"),
}
ferry.fields = f

local bad_length = ProtoExpert.new(
  "ferry.bad_length", "This is no length of a header: what follows cannot be understood",
  expert.group.MALFORMED, expert.severity.ERROR)
local bad_json = ProtoExpert.new(
  "ferry.bad_json", "The header is not a JSON object", expert.group.MALFORMED, expert.severity.ERROR)
local bad_piece = ProtoExpert.new(
  "ferry.bad_piece", "This is no header of a piece: what follows cannot be understood",
  expert.group.MALFORMED, expert.severity.ERROR)
ferry.experts = { bad_length, bad_json, bad_piece }

-- JSON ---------------------------------------------------------------------------------------------------------------

local ESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }
local parse_value

local function skip_space(text, at)
  return text:match("^[ \t\r\n]*()", at)
end

local function parse_string(text, at)
  local parts = {}
  while true do
    local plain, after = text:match('^([^"\\]*)()', at)
    parts[#parts + 1] = plain
    local mark = text:sub(after, after)
    if mark == '"' then return table.concat(parts), after + 1 end
    if mark == "" then error("a string has no end") end
    local escape = text:sub(after + 1, after + 1)
    at = after + 2
    if escape == "u" then
      -- Other characters than those of ASCII stay as they are written: they are only shown.
      local digits = text:sub(at, at + 3)
      local code = tonumber(digits, 16) or error("an escape is none")
      parts[#parts + 1] = code < 128 and string.char(code) or "\\u" .. digits
      at = at + 4
    else
      parts[#parts + 1] = ESCAPES[escape] or escape
    end
  end
end

local function parse_members(text, at, close, member)
  at = skip_space(text, at)
  if text:sub(at, at) == close then return at + 1 end
  while true do
    at = skip_space(text, member(skip_space(text, at)))
    local mark = text:sub(at, at)
    if mark == close then return at + 1 end
    if mark ~= "," then error("a comma is missing") end
    at = at + 1
  end
end

function parse_value(text, at)
  local mark = text:sub(at, at)
  if mark == '"' then return parse_string(text, at + 1) end
  if mark == "{" or mark == "[" then
    local result = {}
    local after = parse_members(text, at + 1, mark == "{" and "}" or "]", function(start)
      if mark == "[" then
        local value, next_at = parse_value(text, start)
        result[#result + 1] = value
        return next_at
      end
      if text:sub(start, start) ~= '"' then error("a key is missing") end
      local key, colon = parse_string(text, start + 1)
      colon = skip_space(text, colon)
      if text:sub(colon, colon) ~= ":" then error("a colon is missing") end
      local value, next_at = parse_value(text, skip_space(text, colon + 1))
      result[key] = value
      return next_at
    end)
    return result, after
  end
  local word, after = text:match("^([%w+.-]+)()", at)
  if word == "true" then return true, after end
  if word == "false" then return false, after end
  if word == "null" then return nil, after end
  return tonumber(word) or error("a value is none"), after
end

-- The keys and values of a header; nil if it is no JSON object.
local function parse_header(text)
  local ok, value, after = pcall(function()
    local start = skip_space(text, 1)
    if text:sub(start, start) ~= "{" then error("it is no object") end
    return parse_value(text, start)
  end)
  return ok and skip_space(text, after) == #text + 1 and value or nil
end

local function as_text(value)
  return type(value) == "string" and value or nil
end

-- Connections --------------------------------------------------------------------------------------------------------

-- What is known of each connection, by the addresses and ports of its two ends. (Wireshark does not tell the number of
-- the stream when it reads a packet for the first time.)
--   sides: for "client" and "server" where the bytes that come next are
--     body: how many bytes of a body, or of the content of a piece, come before the next header
--     compressed: whether pieces follow, and no messages
--     lost: whether the next header cannot be found
--   requests: the requests that have no reply yet
--   tls: whether it is encrypted by TLS, which a server may speak on the same port
--   server_port: the port of the server
--   seen: by packet and length of what was handed over, the side as it was then: Wireshark shows packets in any order
--   replies: by packet and place, the request that a reply is for
local connections = {}

function ferry.init()
  connections = {}
end

local function new_side()
  return { body = 0, compressed = false, lost = false }
end

local function copy_of(side)
  return { body = side.body, compressed = side.compressed, lost = side.lost }
end

local function connection_of(packet)
  local ends = {
    tostring(packet.src) .. " " .. packet.src_port,
    tostring(packet.dst) .. " " .. packet.dst_port,
  }
  table.sort(ends)
  local key = table.concat(ends, " ")
  local connection = connections[key]
  if not connection then
    connection = { sides = { client = new_side(), server = new_side() }, requests = {}, seen = {}, replies = {} }
    connections[key] = connection
  end
  return connection
end

local function has_feature(header, wanted)
  if type(header.features) ~= "table" then return false end
  for _, feature in ipairs(header.features) do
    if feature == wanted then return true end
  end
  return false
end

-- Messages -----------------------------------------------------------------------------------------------------------

local function kind_of(header)
  if header.keep_alive == true then return "keep-alive" end
  if header["end"] == true then return "closing header" end
  if header.op ~= nil then return "request" end
  if header.status ~= nil then return "reply" end
  return "chunk"
end

-- The request that a reply is for: replies come in the order of the requests.
local function request_of(connection, key, packet)
  if not packet.visited then connection.replies[key] = table.remove(connection.requests, 1) end
  return connection.replies[key]
end

local function summary(kind, header, request)
  local name = as_text(header.filename)
  local named = name and name ~= "" and " " .. name or ""
  if kind == "request" then return tostring(header.op) .. named end
  if kind == "reply" then
    local op = request and request.op .. ": " or ""
    if header.status == "error" then return op .. "error " .. (as_text(header.code) or "internal") end
    return op .. (as_text(header.status) or "?") .. named
  end
  if kind == "closing header" and header.status == "error" then
    return "closing header: error " .. (as_text(header.code) or "internal")
  end
  return kind
end

-- Shows a message whose header is there as a whole. Returns what to say of it in the list of packets.
local function show_message(range, packet, tree, connection, side, is_server)
  local text = range(LENGTH_BYTES):string()
  local header = parse_header(text)
  local branch = tree:add(ferry, range, "ferry")
  branch:add_le(f.length, range(0, LENGTH_BYTES))
  local shown = branch:add(f.header, range(LENGTH_BYTES), text)
  if not header then
    branch:add_proto_expert_info(bad_json)
    side.lost = true
    return "header that is not JSON"
  end
  local kind = kind_of(header)
  branch:add(f.kind, kind):set_generated()
  for _, key in ipairs({ "op", "status", "code", "message", "filename", "md5" }) do
    local value = as_text(header[key])
    if value then shown:add(f[key], range(LENGTH_BYTES), value) end
  end
  if type(header.total_size) == "number" then
    shown:add(f.total_size, range(LENGTH_BYTES), UInt64(header.total_size))
  end
  local request
  if kind == "request" and not packet.visited then
    table.insert(connection.requests, { op = tostring(header.op), packet = packet.number })
  elseif kind == "reply" and is_server then
    local key = packet.number .. ":" .. range:offset()
    request = request_of(connection, key, packet)
    if request then branch:add(f.reply_to, request.packet):set_generated() end
    -- Only a server that agrees to compress the connection announces it, and the client waits for that.
    if request and request.op == "hello" and has_feature(header, "zstd") then
      connection.sides.client.compressed = true
      connection.sides.server.compressed = true
    end
  end
  side.body = type(header.total_size) == "number" and header.total_size or 0
  local said = summary(kind, header, request)
  branch:append_text(", " .. said)
  return said
end

local function is_length(length)
  return length >= MIN_HEADER_BYTES and length <= MAX_HEADER_BYTES
end

-- Asks for more bytes: `missing`, or any number.
local function ask_for_more(packet, offset, missing)
  packet.desegment_offset = offset
  packet.desegment_len = missing or DESEGMENT_ONE_MORE_SEGMENT
end

local function show_body(range, tree, side)
  if side.compressed then
    tree:add(ferry, range, "ferry, compressed"):add(f.compressed, range)
    return "compressed"
  end
  tree:add(ferry, range, "ferry, body"):add(f.body, range)
  return "body"
end

-- Shows the header of a piece of a compressed connection.
local function show_piece(range, tree, side)
  local kind = range(0, 1):uint()
  local branch = tree:add(ferry, range, "ferry, piece")
  branch:add(f.piece_kind, range(0, 1))
  branch:add_le(f.piece_content, range(1, 3))
  branch:add_le(f.piece_length, range(4, 4))
  if not PIECE_KINDS[kind] then
    branch:add_proto_expert_info(bad_piece)
    side.lost = true
  end
  side.body = range(4, 4):le_uint()
  return "piece (" .. (PIECE_KINDS[kind] or "?") .. ")"
end

-- Shows what comes next. Returns how many bytes that are, or nil if some are missing, and what to say of it.
local function show_next(buffer, offset, packet, tree, connection, side, is_server)
  local left = buffer:len() - offset
  if side.lost then return left, "what cannot be understood" end
  if side.body > 0 then
    local count = math.min(side.body, left)
    local said = show_body(buffer(offset, count), tree, side)
    side.body = side.body - count
    return count, said
  end
  if side.compressed then
    if left < PIECE_HEADER_BYTES then return ask_for_more(packet, offset, PIECE_HEADER_BYTES - left) end
    return PIECE_HEADER_BYTES, show_piece(buffer(offset, PIECE_HEADER_BYTES), tree, side)
  end
  if left < LENGTH_BYTES then return ask_for_more(packet, offset) end
  local length = buffer(offset, LENGTH_BYTES):le_int()
  if not is_length(length) then
    tree:add(ferry, buffer(offset), "ferry"):add_proto_expert_info(bad_length)
    side.lost = true
    return left, "what is no header"
  end
  local size = LENGTH_BYTES + length
  if left < size then return ask_for_more(packet, offset, size - left) end
  return size, show_message(buffer(offset, size), packet, tree, connection, side, is_server)
end

-- Whether this is the record of a handshake of TLS: 16 03 01 to 16 03 04 would be more than a header may have.
local function is_tls(buffer)
  return buffer:len() >= 3 and buffer(0, 2):uint() == 0x1603 and buffer(2, 1):uint() ~= 0
end

-- The beginning of a header, as far as it is there: at least its two braces. nil where it is none.
local function beginning_of_header(buffer)
  if buffer:len() < LENGTH_BYTES + MIN_HEADER_BYTES then return nil end
  local length = buffer(0, LENGTH_BYTES):le_int()
  if not is_length(length) then return nil end
  return buffer:raw(LENGTH_BYTES, math.min(length, buffer:len() - LENGTH_BYTES)):match("^%s*({.*)")
end

-- Whether a segment begins with a header that has one of the keys, as far as can be told from what is there of it.
local function begins_with(buffer, ...)
  local text = beginning_of_header(buffer)
  for _, key in ipairs({ ... }) do
    if text and text:find('"' .. key .. '"%s*:%s*"') then return true end
  end
  return false
end

-- Whether the dissector of TLS is at work, which hands over what it could decrypt.
local decrypted = false

function ferry.dissector(buffer, packet, tree)
  local connection = connection_of(packet)
  if not decrypted and (connection.tls or is_tls(buffer)) then
    connection.tls = true
    decrypted = true
    local count = Dissector.get("tls"):call(buffer, packet, tree)
    decrypted = false
    return count
  end
  local is_server = packet.src_port == connection.server_port
  if connection.server_port == nil then
    is_server = packet.src_port == PORT or (packet.dst_port ~= PORT and begins_with(buffer, "status"))
    connection.server_port = is_server and packet.src_port or packet.dst_port
  end
  local name = is_server and "server" or "client"
  local key = packet.number .. ":" .. buffer:len()
  if packet.visited and connection.seen[key] then
    connection.sides[name] = copy_of(connection.seen[key])
  else
    connection.seen[key] = copy_of(connection.sides[name])
  end
  local side = connection.sides[name]
  packet.cols.protocol = "ferry"
  local said = {}
  local offset = 0
  while offset < buffer:len() do
    local count, what = show_next(buffer, offset, packet, tree, connection, side, is_server)
    if not count then break end
    if what ~= said[#said] then said[#said + 1] = what end
    offset = offset + count
  end
  if #said > 0 then
    packet.cols.info = table.concat(said, "; ")
    packet.cols.info:fence()
  end
end

local function looks_like_ferry(buffer, packet, tree)
  if not begins_with(buffer, "op", "status") then return false end
  packet.conversation = ferry
  ferry.dissector(buffer, packet, tree)
  return true
end

DissectorTable.get("tcp.port"):add(PORT, ferry)
DissectorTable.get("tls.port"):add(PORT, ferry)
ferry:register_heuristic("tcp", looks_like_ferry)
