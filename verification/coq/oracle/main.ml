(* krux_oracle: the kernel's model as a program. Reads the events of verification/diff/FORMAT.md on stdin
   and writes one result for each on stdout. Everything is decided by Model, which Coq extracted from
   verification/coq; here bytes become its values, its values become bytes, and sixteen sessions are kept.

     krux_oracle < events > results *)
open Model

exception Malformed of string

let malformed text = raise (Malformed text)

(* Input: what is not read yet lies between `at` and `filled`. *)
let input_size = 1 lsl 16
let input = Bytes.create input_size
let at = ref 0
let filled = ref 0

let output_size = 1 lsl 16
let output = Bytes.make output_size '\000'
let waiting = ref 0

let flush_output () =
  let sent = ref 0 in
  while !sent < !waiting do
    sent := !sent + Unix.write Unix.stdout output !sent (!waiting - !sent)
  done;
  waiting := 0

(* Makes `size` bytes readable at `at`; false where the input ends. Whoever waits for results before they
   send on gets them: nothing is held back over a read. *)
let rec available size =
  if !filled - !at >= size then true
  else begin
    Bytes.blit input !at input 0 (!filled - !at);
    filled := !filled - !at;
    at := 0;
    flush_output ();
    let got = Unix.read Unix.stdin input !filled (input_size - !filled) in
    filled := !filled + got;
    if got = 0 then false else available size
  end

let need size = if not (available size) then malformed "the last event is cut short"

let rec positive x = if x = 1 then XH else if x land 1 = 1 then XI (positive (x lsr 1)) else XO (positive (x lsr 1))
let number x = if x = 0 then N0 else Npos (positive x)

(* The number of 32 bits or fewer `low` below the bits of `high`. *)
let rec below bits low high =
  if bits = 0 then high
  else if low land 1 = 1 then XI (below (bits - 1) (low lsr 1) high)
  else XO (below (bits - 1) (low lsr 1) high)

let small = Array.init 256 number

let byte_value () =
  need 1;
  let x = Char.code (Bytes.get input !at) in
  incr at;
  x

let u8 () = small.(byte_value ())

let flag () =
  match byte_value () with 0 -> false | 1 -> true | _ -> malformed "a bool is neither 0 nor 1"

let u16 () =
  need 2;
  let x = Bytes.get_uint16_le input !at in
  at := !at + 2;
  number x

let u32_value () =
  need 4;
  let x = Int32.to_int (Bytes.get_int32_le input !at) land 0xffffffff in
  at := !at + 4;
  x

let u32 () = number (u32_value ())

let u64 () =
  let low = u32_value () in
  let high = u32_value () in
  if high = 0 then number low else Npos (below 32 low (positive high))

let rec many n read = if n = 0 then [] else let x = read () in x :: many (n - 1) read

let policy () =
  let levels = u32 () in
  let required_layers = u32 () in
  let obligations = u16 () in
  let trifecta = u8 () in
  let trusted_action = u8 () in
  let depth = u8 () in
  let not_before = u64 () in
  let not_after = u64 () in
  { levels; required_layers; obligations; trifecta; trusted_action; depth; not_before; not_after }

let ticket () =
  let kind = u8 () in
  let nonce = u64 () in
  let expires = u64 () in
  let for_session = many 2 u64 in
  let for_policy = many 4 u64 in
  let for_digest = many 4 u64 in
  { kind; nonce; expires; for_session; for_policy; for_digest }

let footprint () =
  let readable = u8 () in
  let network = flag () in
  let runs_program = flag () in
  let within_grants = flag () in
  let layers = u32 () in
  { readable; network; runs_program; within_grants; layers }

let call () =
  let dimension_code = u8 () in
  let risk_code = u8 () in
  let sources = u8 () in
  let sink = flag () in
  let obliged = flag () in
  let endorsed = flag () in
  let scopes = u32 () in
  let inside = u32 () in
  let touches = footprint () in
  let cost = many 8 u64 in
  let digest = many 4 u64 in
  { dimension_code; risk_code; sources; sink; obliged; endorsed; scopes; inside; touches; cost; digest }

(* Words go through a buffer, from which they are hashed without a boxed integer for each. *)
let buffer = Bytes.create 1024

let put_word index n =
  let word = ref 0L and weight = ref 1L in
  (match n with
   | N0 -> ()
   | Npos p ->
     let rest = ref p and going = ref true in
     while !going do
       (match !rest with
        | XH ->
          word := Int64.logor !word !weight;
          going := false
        | XI q ->
          word := Int64.logor !word !weight;
          rest := q
        | XO q -> rest := q);
       weight := Int64.shift_left !weight 1
     done);
  Bytes.set_int64_le buffer (8 * index) !word

let rec put_words index = function
  | [] -> index
  | n :: rest ->
    put_word index n;
    put_words (index + 1) rest

let hash_of_words count =
  let h = ref 0xcbf29ce484222325L in
  for i = 0 to count - 1 do
    h := Int64.mul (Int64.logxor !h (Bytes.get_int64_le buffer (8 * i))) 0x100000001b3L;
    h := Int64.logxor !h (Int64.shift_right_logical !h 32)
  done;
  !h

let hash_of_policy p =
  hash_of_words
    (put_words 0
       [ p.levels; p.required_layers; p.obligations; p.trifecta; p.trusted_action; p.depth; p.not_before;
         p.not_after ])

let hash_of_ticket t =
  let count = put_words 0 [ t.kind; t.nonce; t.expires ] in
  hash_of_words (put_words (put_words (put_words count t.for_session) t.for_policy) t.for_digest)

(* The hash of a value as long as it is the same value: tickets and policies seldom change. *)
let remembered hash =
  let last = ref None in
  fun x ->
    match !last with
    | Some (y, h) when y == x -> h
    | _ ->
      let h = hash x in
      last := Some (x, h);
      h

let slots = 16
let sessions = 16

type memory = { of_policy : policy -> int64; of_ticket : (ticket -> int64) array }

let memories =
  Array.init sessions (fun _ ->
      { of_policy = remembered hash_of_policy;
        of_ticket = Array.init slots (fun _ -> remembered hash_of_ticket) })

let hash_of_state memory s =
  let policy = memory.of_policy s.authority in
  let tickets = List.mapi (fun i t -> memory.of_ticket.(i) t) s.tickets in
  Bytes.set_int64_le buffer 0 policy;
  put_word 1 s.exposure;
  let count = put_words 2 s.remaining in
  put_word count s.calls;
  let count = put_words (put_words (count + 1) s.session) s.policy_id in
  put_word count s.last_nonce;
  List.iteri (fun i h -> Bytes.set_int64_le buffer (8 * (count + 1 + i)) h) tickets;
  hash_of_words (count + 1 + slots)

let value_of n =
  put_word 0 n;
  Int64.to_int (Bytes.get_int64_le buffer 0)

let fnv1a bytes =
  List.fold_left
    (fun h b -> Int64.mul (Int64.logxor h (Int64.of_int (value_of b))) 0x100000001b3L)
    0xcbf29ce484222325L bytes

let rec int_of_nat = function O -> 0 | S n -> 1 + int_of_nat n
let verdict_code v = int_of_nat (verdict_index v)

(* Sessions begin as the state whose bytes are all zero. *)
let state_bytes = 1710

let zero_state =
  match decode_state (List.init state_bytes (fun _ -> N0)) with
  | Some s -> s
  | None -> failwith "a state has another size than FORMAT.md says"

let world = Array.make sessions zero_state
let result_size = 32
let result = Bytes.make result_size '\000'
let set_byte index x = Bytes.set result index (Char.unsafe_chr (x land 255))

let set_decision d =
  set_byte 1 (verdict_code d.answer);
  List.iteri (fun i v -> set_byte (2 + i) (verdict_code v)) d.parts;
  set_byte 9 (value_of d.reasons);
  set_byte 10 (value_of d.adds);
  set_byte 11 (int_of_nat d.lifted_by)

let hash_session id = hash_of_state memories.(id) world.(id)

(* Steps session `id`; where it has a child, that becomes session `child`. *)
let apply id child event =
  let next, outcome = step world.(id) event in
  world.(id) <- next;
  match outcome with
  | Decided d -> set_decision d
  | Done -> ()
  | Refused -> set_byte 0 0
  | Child state ->
    world.(child) <- state

let session_id () =
  let id = byte_value () in
  if id >= sessions then malformed "there is no such session";
  id

let event tag id =
  match tag with
  | 1 ->
    let p = policy () in
    let limits = many 8 u64 in
    let name = many 2 u64 in
    world.(id) <- begin0 p limits name (many 4 u64)
  | 2 -> (
    match decode_state (many state_bytes u8) with
    | Some s -> world.(id) <- s
    | None -> malformed "no state has these bytes")
  | 3 ->
    let now = u64 () in
    apply id id (ECall (now, call ()))
  | 4 ->
    let now = u64 () in
    set_decision (decide world.(id) (call ()) now)
  | 5 ->
    let has_limits = flag () in
    let p = policy () in
    let limits = many 8 u64 in
    apply id id (EAttenuate (p, (if has_limits then Some limits else None), many 4 u64))
  | 6 -> apply id id ELockdown
  | 7 -> apply id id (ECharge (many 8 u64))
  | 8 -> apply id id (ETaint (u8 ()))
  | 9 ->
    let now = u64 () in
    apply id id (EGrant (now, ticket ()))
  | 10 -> apply id id (ERevoke (u64 ()))
  | 11 ->
    let child = session_id () in
    if child = id then malformed "a session is no child of itself";
    let p = policy () in
    let share = many 8 u64 in
    let name = many 2 u64 in
    apply id child (EDelegate (p, share, name, many 4 u64));
    Bytes.set_int64_le result 24 (hash_session child)
  | 12 -> Bytes.set_int64_le result 24 (fnv1a (encode_state world.(id)))
  | 13 ->
    let a = policy () in
    set_byte 0 (if within a (policy ()) then 1 else 0)
  | 14 ->
    let a = policy () in
    Bytes.set_int64_le result 24 (hash_of_policy (meet a (policy ())))
  | _ -> malformed "there is no such event"

let send () =
  if !waiting + result_size > output_size then flush_output ();
  Bytes.blit result 0 output !waiting result_size;
  waiting := !waiting + result_size

let run () =
  need 8;
  if Bytes.sub_string input !at 8 <> "KRUXEV01" then malformed "the input does not start with KRUXEV01";
  at := !at + 8;
  while available 1 do
    Bytes.fill result 0 result_size '\000';
    set_byte 0 1;
    let tag = byte_value () in
    let id = session_id () in
    event tag id;
    set_byte 12 (value_of world.(id).exposure);
    Bytes.set_int64_le result 16 (hash_session id);
    send ()
  done;
  flush_output ()

let () =
  try run ()
  with Malformed text ->
    flush_output ();
    prerr_endline ("krux_oracle: " ^ text);
    exit 65
