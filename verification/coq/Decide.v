(* The decision: policy/kernel/decide.c, part by part. *)
Require Import Arith NArith List Bool Lia.
Require Import Krux.Tables Krux.Lattice Krux.Exposure.
Import ListNotations.
Open Scope N_scope.

(* struct krux_ticket *)
Record ticket : Set := Ticket {
  kind : N;
  nonce : N;
  expires : N;
  for_session : list N;
  for_policy : list N;
  for_digest : list N;
}.

(* struct krux_state *)
Record state : Set := State {
  authority : policy;
  exposure : N;
  remaining : list N;
  calls : N;
  session : list N;
  policy_id : list N;
  last_nonce : N;
  tickets : list ticket;
}.

(* struct krux_decision *)
Record decision : Set := Decision {
  answer : verdict;
  parts : list verdict;
  reasons : N;
  adds : N;
  lifted_by : nat;  (* 1 + slot, 0 for none *)
}.

Definition verdict_leb (x y : verdict) : bool := Nat.leb (verdict_index x) (verdict_index y).
Definition least (x y : verdict) : verdict := if verdict_leb x y then x else y.
Definition allows (v : verdict) : bool := match v with V_ALLOW => true | _ => false end.

Definition guard (mode : N) : verdict := if asks mode then V_ASK else V_DENY.

Definition risk_of (c : N) : option risk :=
  if c <? N.of_nat (length all_risk) then nth_error all_risk (N.to_nat c) else None.

Definition of_level (p : policy) (c : call) : verdict :=
  match risk_of (risk_code c) with
  | None => V_DENY
  | Some r =>
    if dimension_code c =? none_code then V_ALLOW
    else match policy_level p (dimension_code c), r with
         | L_NEVER, _ => V_DENY
         | L_LOW_RISK, R_LOW => V_ALLOW
         | L_LOW_RISK, _ => V_ASK
         | L_ALWAYS, R_CRITICAL => V_ASK
         | L_ALWAYS, _ => V_ALLOW
         end
  end.

Definition of_obligation (p : policy) (c : call) : verdict :=
  if obliged c then V_ASK
  else match dimension_of (dimension_code c) with
       | None => V_ALLOW
       | Some d => if N.testbit (obligations p) (code dimension_index d) then V_ASK else V_ALLOW
       end.

Definition of_scope (c : call) : verdict :=
  if (scopes c =? 0) && negb (dimension_code c =? none_code) then V_DENY
  else if subset (scopes c) (inside c) then V_ALLOW else V_DENY.

Definition of_gate (s : state) (c : call) (overlooked : N) : verdict :=
  if negb (has (contribution c) E_EXFIL) || endorsed c then V_ALLOW
  else if full (N.ldiff (N.lor (exposure s) (contribution c)) overlooked)
       then guard (trifecta (authority s)) else V_ALLOW.

Definition of_trust (s : state) (c : call) (overlooked : N) : verdict :=
  match dimension_of (dimension_code c) with
  | None => V_ALLOW
  | Some d =>
    if endorsed c || negb (consequential d) then V_ALLOW
    else if has (N.ldiff (exposure s) overlooked) E_UNTRUSTED
         then guard (trusted_action (authority s)) else V_ALLOW
  end.

Definition of_confinement (c : call) : verdict :=
  if negb (within_grants (touches c)) then V_DENY
  else if runs_program (touches c) && negb (dimension_code c =? code dimension_index D_RUN_EXEC) then V_DENY
  else if subset (footprint_legs (touches c)) (contribution c) then V_ALLOW else V_DENY.

(* The amounts of one list, each at most its neighbour in the other. *)
Fixpoint all_le (a b : list N) : bool :=
  match a, b with
  | x :: a', y :: b' => (x <=? y) && all_le a' b'
  | _, _ => true
  end.

Definition of_limit (s : state) (c : call) (now : N) : verdict :=
  let p := authority s in
  if negb (all_le (cost c) (remaining s)) then V_DENY
  else if existsb (N.eqb 0) (remaining s) && negb (dimension_code c =? none_code) then V_DENY
  else if (now <? not_before p) || (not_after p <=? now) then V_DENY
  else if negb (subset (required_layers p) (layers (touches c))) then V_DENY
  else if (dimension_code c =? code dimension_index D_SPAWN_AGENT) && (depth p =? 0) then V_DENY
  else V_ALLOW.

Definition part (s : state) (c : call) (now : N) (k : component) : verdict :=
  match k with
  | C_LEVEL => of_level (authority s) c
  | C_OBLIGATION => of_obligation (authority s) c
  | C_SCOPE => of_scope c
  | C_GATE => of_gate s c 0
  | C_TRUST => of_trust s c 0
  | C_CONFINEMENT => of_confinement c
  | C_LIMIT => of_limit s c now
  end.

Fixpoint same (a b : list N) : bool :=
  match a, b with
  | [], [] => true
  | x :: a', y :: b' => (x =? y) && same a' b'
  | _, _ => false
  end.

Definition kind_of (t : ticket) : option ticket_kind :=
  if kind t <? N.of_nat (length all_ticket_kind) then nth_error all_ticket_kind (N.to_nat (kind t)) else None.

(* Is this ticket for this call, here and now? *)
Definition is_for (t : ticket) (s : state) (c : call) (now : N) : bool :=
  (now <? expires t) && same (for_session t) (session s) && same (for_policy t) (policy_id s)
  && same (for_digest t) (digest c).

Definition guards (k : component) : bool := match k with C_GATE | C_TRUST => true | _ => false end.

(* Would the call be allowed with this leg overlooked? *)
Definition overlooks (s : state) (c : call) (now : N) (l : leg) : bool :=
  forallb (fun k => guards k || allows (part s c now k)) all_component
  && allows (of_gate s c (bit l)) && allows (of_trust s c (bit l)).

(* Would the call be allowed with this ticket? *)
Definition lifts (t : ticket) (s : state) (c : call) (now : N) : bool :=
  match kind_of t with
  | Some T_APPROVE => is_for t s c now
  | Some T_DECLASSIFY_PRIVATE => is_for t s c now && overlooks s c now E_PRIVATE
  | Some T_DECLASSIFY_UNTRUSTED => is_for t s c now && overlooks s c now E_UNTRUSTED
  | Some T_NONE | None => false
  end.

Fixpoint first {A : Set} (ok : A -> bool) (slots : list A) : option nat :=
  match slots with
  | [] => None
  | x :: rest => if ok x then Some O else option_map S (first ok rest)
  end.

Definition fold_parts (ps : list verdict) : verdict := fold_right least V_ALLOW ps.
Fixpoint reasons_from (place : N) (ps : list verdict) : N :=
  match ps with
  | [] => 0
  | v :: rest => N.lor (if allows v then 0 else N.shiftl 1 place) (reasons_from (place + 1) rest)
  end.

(* krux_decide *)
Definition decide (s : state) (c : call) (now : N) : decision :=
  let ps := map (part s c now) all_component in
  let alone := fold_parts ps in
  let lift := match alone with
              | V_ASK => first (fun t => lifts t s c now) (tickets s)
              | _ => None
              end in
  {| answer := match lift with Some _ => V_ALLOW | None => alone end;
     parts := ps;
     reasons := reasons_from 0 ps;
     adds := contribution c;
     lifted_by := match lift with Some i => S i | None => O end |}.
