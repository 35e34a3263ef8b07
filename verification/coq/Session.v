(* Events: policy/kernel/step.c. One session moves by them, whatever their order. *)
Require Import Arith NArith List Bool Lia.
Require Import Krux.Tables Krux.Lattice Krux.Exposure Krux.Decide.
Import ListNotations.
Open Scope N_scope.

Definition words (n : nat) : list N := repeat 0 n.
Definition no_ticket : ticket :=
  {| kind := 0; nonce := 0; expires := 0; for_session := words 2; for_policy := words 4; for_digest := words 4 |}.

Fixpoint zip (f : N -> N -> N) (a b : list N) : list N :=
  match a, b with
  | x :: a', y :: b' => f x y :: zip f a' b'
  | _, _ => a
  end.

Fixpoint put {A : Set} (i : nat) (x : A) (slots : list A) : list A :=
  match slots, i with
  | [], _ => []
  | _ :: rest, O => x :: rest
  | y :: rest, S j => y :: put j x rest
  end.

(* krux_state_begin *)
Definition begin (p : policy) (limits session policy_id : list N) : state :=
  {| authority := p; exposure := 0; remaining := limits; calls := 0; session := session;
     policy_id := policy_id; last_nonce := 0; tickets := repeat no_ticket ticket_slots |}.

(* krux_step_call, once it is decided *)
Definition take (slot : nat) (ts : list ticket) : list ticket :=
  match slot with O => ts | S i => put i no_ticket ts end.
Definition move (s : state) (c : call) (d : decision) : state :=
  {| authority := authority s;
     exposure := N.lor (exposure s) (adds d);
     remaining := zip N.sub (remaining s) (cost c);
     calls := if calls s <? u64_max then calls s + 1 else calls s;
     session := session s; policy_id := policy_id s; last_nonce := last_nonce s;
     tickets := take (lifted_by d) (tickets s) |}.
Definition step_call (s : state) (c : call) (now : N) : state * decision :=
  let d := decide s c now in
  (match answer d with V_ALLOW => move s c d | _ => s end, d).

(* krux_step_attenuate *)
Definition keep_under (id : list N) (t : ticket) : ticket := if same (for_policy t) id then t else no_ticket.
Definition step_attenuate (s : state) (p : policy) (limits : option (list N)) (id : list N) : state :=
  {| authority := meet (authority s) p;
     exposure := exposure s;
     remaining := match limits with Some l => zip N.min (remaining s) l | None => remaining s end;
     calls := calls s; session := session s; policy_id := id; last_nonce := last_nonce s;
     tickets := map (keep_under id) (tickets s) |}.

(* krux_step_lockdown *)
Definition reading : policy :=
  {| levels := pack lockdown_level; required_layers := required_layers top; obligations := obligations top;
     trifecta := trifecta top; trusted_action := trusted_action top; depth := 0;
     not_before := not_before top; not_after := not_after top |}.
Definition step_lockdown (s : state) : state := with_authority s (meet (authority s) reading).

(* krux_step_charge, krux_step_taint *)
Definition step_charge (s : state) (amounts : list N) : state :=
  with_remaining s (zip N.sub (remaining s) amounts).
Definition step_taint (s : state) (legs : N) : state :=
  with_exposure s (N.lor (exposure s) (N.land legs all_legs)).

(* krux_step_grant *)
Definition is_dead (s : state) (now : N) (t : ticket) : bool :=
  (kind t =? 0) || (expires t <=? now) || negb (same (for_policy t) (policy_id s)).
Definition step_grant (s : state) (t : ticket) (now : N) : option state :=
  if (N.of_nat (length all_ticket_kind) <=? kind t) || is_dead s now t then None
  else if negb (same (for_session t) (session s)) then None
  else if nonce t <=? last_nonce s then None
  else match first (is_dead s now) (tickets s) with
       | Some i => Some (with_tickets s (nonce t) (put i t (tickets s)))
       | None => None
       end.

(* krux_step_revoke *)
Definition has_nonce (n : N) (t : ticket) : bool := negb (kind t =? 0) && (nonce t =? n).
Definition step_revoke (s : state) (n : N) : option state :=
  match first (has_nonce n) (tickets s) with
  | Some i => Some (with_tickets s (last_nonce s) (put i no_ticket (tickets s)))
  | None => None
  end.

(* krux_step_delegate: what is left of the parent, and the child *)
Definition with_depth (p : policy) (n : N) : policy :=
  {| levels := levels p; required_layers := required_layers p; obligations := obligations p;
     trifecta := trifecta p; trusted_action := trusted_action p; depth := n;
     not_before := not_before p; not_after := not_after p |}.
Definition child_policy (parent p : policy) : policy :=
  let m := meet parent p in
  if depth parent <=? depth m then with_depth m (depth parent - 1) else m.
Definition step_delegate (s : state) (p : policy) (share id policy_id : list N) : option (state * state) :=
  if depth (authority s) =? 0 then None
  else if negb (all_le share (remaining s)) then None
  else Some (with_remaining s (zip N.sub (remaining s) share),
             with_exposure (begin (child_policy (authority s) p) share id policy_id) (exposure s)).

(* One event of a session, and what the caller is told. *)
Inductive event : Set :=
| ECall (now : N) (c : call)
| EAttenuate (p : policy) (limits : option (list N)) (id : list N)
| ELockdown
| ECharge (amounts : list N)
| ETaint (legs : N)
| EGrant (now : N) (t : ticket)
| ERevoke (n : N)
| EDelegate (p : policy) (share id policy_id : list N).

Inductive outcome : Set :=
| Decided (d : decision)
| Done
| Refused
| Child (child : state).

Definition step (s : state) (e : event) : state * outcome :=
  match e with
  | ECall now c => let (s', d) := step_call s c now in (s', Decided d)
  | EAttenuate p limits id => (step_attenuate s p limits id, Done)
  | ELockdown => (step_lockdown s, Done)
  | ECharge amounts => (step_charge s amounts, Done)
  | ETaint legs => (step_taint s legs, Done)
  | EGrant now t => match step_grant s t now with Some s' => (s', Done) | None => (s, Refused) end
  | ERevoke n => match step_revoke s n with Some s' => (s', Done) | None => (s, Refused) end
  | EDelegate p share id policy_id =>
    match step_delegate s p share id policy_id with
    | Some (s', child) => (s', Child child)
    | None => (s, Refused)
    end
  end.
