(* Witnesses: runs that reach what the theorems speak of, so that none of them holds because nothing ever gets there.
   Each is computed. *)
Require Import Arith NArith List Bool Lia.
Require Import Krux.Tables Krux.Lattice Krux.Exposure Krux.Decide Krux.Session Krux.Delegate Krux.Codec Krux.Compile
  Krux.Replay Krux.Observe.
Import ListNotations.
Open Scope N_scope.

Definition plenty : list N := repeat 1000 width.
Definition me : list N := [7; 7].
Definition my_policy : list N := [1; 2; 3; 4].
Definition fresh : state := begin top plenty me my_policy.

Definition bare (d : dimension) (sources_ : N) (sink_ endorsed_ : bool) : call := {|
  dimension_code := code dimension_index d; risk_code := 0; sources := sources_; sink := sink_; obliged := false;
  endorsed := endorsed_; scopes := 1; inside := 1;
  touches := {| readable := 0; network := false; runs_program := false; within_grants := true; layers := 0 |};
  cost := [1; 0; 0; 0; 0; 0; 0; 0]; digest := [9; 9; 9; 9] |}.
Definition read_private := bare D_READ_FILES (bit E_PRIVATE) false false.
Definition see_stranger := bare D_READ_FILES (bit E_UNTRUSTED) false false.
Definition send := bare D_WEB_FETCH 0 true false.
Definition send_as_told := bare D_WEB_FETCH 0 true true.
Definition push := bare D_GIT_PUSH 0 false false.
Definition my_ticket (k : ticket_kind) (n : N) : ticket :=
  {| kind := code ticket_kind_index k; nonce := n; expires := 100; for_session := me; for_policy := my_policy;
     for_digest := [9; 9; 9; 9] |}.

Definition answers (s : state) (es : list event) : list (option verdict) :=
  map (fun m => match told m with Decided d => Some (answer d) | Refused => Some V_DENY | _ => None end) (history s es).
Definition tickets_used (s : state) (es : list event) : list nat :=
  flat_map (fun m => match told m with Decided d => [lifted_by d] | _ => [] end) (history s es).

(* T13: private data, then a stranger's content, then a way out: allow, allow, ask. *)
Example the_legs_meet : answers fresh [ECall 5 read_private; ECall 5 see_stranger; ECall 5 send] =
  [Some V_ALLOW; Some V_ALLOW; Some V_ASK].
Proof. reflexivity. Qed.
(* In any order, and also when the last leg comes late. *)
Example the_legs_meet_late : answers fresh [ECall 5 read_private; ETaint 2; ECall 5 send] =
  [Some V_ALLOW; None; Some V_ASK].
Proof. reflexivity. Qed.
Example two_legs_do_not_meet : answers fresh [ECall 5 read_private; ECall 5 send; ECall 5 send] =
  [Some V_ALLOW; Some V_ALLOW; Some V_ALLOW].
Proof. reflexivity. Qed.
(* Where the policy says deny, a ticket does not help. *)
Example deny_mode_denies :
  answers (with_authority fresh (with_depth {| levels := levels top; required_layers := 0; obligations := 0;
      trifecta := deny_code; trusted_action := deny_code; depth := 0; not_before := 0; not_after := u64_max |} 0))
    [ECall 5 read_private; ECall 5 see_stranger; EGrant 5 (my_ticket T_APPROVE 1); ECall 5 send] =
  [Some V_ALLOW; Some V_ALLOW; None; Some V_DENY].
Proof. reflexivity. Qed.
(* The endorsed branch of T13. *)
Example the_operator_named_it : answers fresh [ECall 5 read_private; ECall 5 see_stranger; ECall 5 send_as_told] =
  [Some V_ALLOW; Some V_ALLOW; Some V_ALLOW].
Proof. reflexivity. Qed.

(* T14 and T20: the ticket lifts one call, not the next, and cannot be granted again. *)
Definition with_ticket : list event :=
  [ECall 5 read_private; ECall 5 see_stranger; EGrant 5 (my_ticket T_APPROVE 1); ECall 5 send; ECall 5 send;
   EGrant 5 (my_ticket T_APPROVE 1); ECall 5 send].
Example one_ticket_one_call : answers fresh with_ticket =
  [Some V_ALLOW; Some V_ALLOW; None; Some V_ALLOW; Some V_ASK; Some V_DENY; Some V_ASK].
Proof. reflexivity. Qed.
Example the_ticket_was_used : tickets_used fresh with_ticket = [0; 0; 1; 0; 0]%nat.
Proof. reflexivity. Qed.
Example one_leg_declassified :
  answers fresh [ECall 5 read_private; ECall 5 see_stranger; EGrant 5 (my_ticket T_DECLASSIFY_PRIVATE 1); ECall 5 send;
                 ECall 5 send] = [Some V_ALLOW; Some V_ALLOW; None; Some V_ALLOW; Some V_ASK].
Proof. reflexivity. Qed.
Example expired_tickets_lift_nothing :
  answers fresh [ECall 5 read_private; ECall 5 see_stranger; EGrant 5 (my_ticket T_APPROVE 1); ECall 100 send] =
  [Some V_ALLOW; Some V_ALLOW; None; Some V_ASK].
Proof. reflexivity. Qed.
Example tickets_die_with_their_policy :
  answers fresh [ECall 5 read_private; ECall 5 see_stranger; EGrant 5 (my_ticket T_APPROVE 1);
                 EAttenuate top None [5; 5; 5; 5]; EAttenuate top None my_policy; ECall 5 send] =
  [Some V_ALLOW; Some V_ALLOW; None; None; None; Some V_ASK].
Proof. reflexivity. Qed.
Example revoked_tickets_lift_nothing :
  answers fresh [ECall 5 read_private; ECall 5 see_stranger; EGrant 5 (my_ticket T_APPROVE 1); ERevoke 1; ECall 5 send] =
  [Some V_ALLOW; Some V_ALLOW; None; None; Some V_ASK].
Proof. reflexivity. Qed.

(* T15: a stranger's content, then an effect beyond the workspace: allow, ask; with a ticket, once. *)
Example strangers_do_not_push :
  answers fresh [ECall 5 push; ECall 5 see_stranger; ECall 5 push; EGrant 5 (my_ticket T_DECLASSIFY_UNTRUSTED 1);
                 ECall 5 push; ECall 5 push] =
  [Some V_ALLOW; Some V_ALLOW; Some V_ASK; None; Some V_ALLOW; Some V_ASK].
Proof. reflexivity. Qed.

(* T7: `never`, with a ticket. *)
Example never_with_a_ticket : answers (step_lockdown fresh) [EGrant 5 (my_ticket T_APPROVE 1); ECall 5 send] =
  [None; Some V_DENY].
Proof. reflexivity. Qed.

(* T5 and T6 are strict somewhere. *)
Example less_authority_less_allowed :
  answer (decide (with_authority fresh bottom) read_private 5) = V_DENY /\ answer (decide fresh read_private 5) = V_ALLOW.
Proof. split; reflexivity. Qed.
Example more_exposure_less_allowed :
  answer (decide (with_exposure fresh 3) send 5) = V_ASK /\ answer (decide fresh send 5) = V_ALLOW.
Proof. split; reflexivity. Qed.

(* T9: every part can be the reason. *)
Definition reasons_of (s : state) (c : call) (now : N) : N := reasons (decide s c now).
Example every_part_speaks :
  [ reasons_of (step_lockdown fresh) send 5;
    reasons_of (with_authority fresh {| levels := levels top; required_layers := 0; obligations := N.ones 16;
      trifecta := ask_code; trusted_action := ask_code; depth := 0; not_before := 0; not_after := u64_max |}) send 5;
    reasons_of fresh {| dimension_code := 0; risk_code := 0; sources := 0; sink := false; obliged := false;
      endorsed := false; scopes := 3; inside := 1; touches := touches send; cost := cost send; digest := [] |} 5;
    reasons_of (with_exposure fresh 3) send 5;
    reasons_of (with_exposure fresh 2) push 5;
    reasons_of fresh {| dimension_code := 0; risk_code := 0; sources := 0; sink := false; obliged := false;
      endorsed := false; scopes := 1; inside := 1;
      touches := {| readable := 1; network := false; runs_program := false; within_grants := true; layers := 0 |};
      cost := cost send; digest := [] |} 5;
    reasons_of fresh send u64_max ] = map (fun k => N.shiftl 1 (code component_index k)) all_component.
Proof. reflexivity. Qed.

(* T16: the ratchet moves. *)
Example the_ratchet_moves :
  let s := run fresh [ECall 5 read_private; ECharge (repeat 10 width); ELockdown; EGrant 5 (my_ticket T_APPROVE 3)] in
  (exposure s, remaining s, calls s, last_nonce s, within (authority s) top, within top (authority s)) =
  (1, [989; 990; 990; 990; 990; 990; 990; 990], 1, 3, true, false).
Proof. reflexivity. Qed.

(* T17 and T18: a tree of three generations that spends; its books balance, and the fourth generation is refused. *)
Definition on (i : nat) (e : event) : nat * event := (i, e).
Definition family : list (nat * event) :=
  [on 0 (EAttenuate (with_depth top 2) (Some (repeat 900 width)) my_policy);
   on 0 (EDelegate top (repeat 300 width) [1; 1] my_policy); on 1 (ECall 5 read_private);
   on 1 (EDelegate top (repeat 100 width) [2; 2] my_policy); on 2 (ECharge (repeat 150 width));
   on 2 (EDelegate top (repeat 1 width) [3; 3] my_policy)].
Example a_family :
  map (fun n => (hd 0 (remaining (now_at n)), hd 0 (spent n), hd 0 (waived n), depth (authority (now_at n)),
                 exposure (now_at n))) (grown (root fresh) family) =
  [(600, 0, 100, 2, 0); (199, 1, 0, 1, 1); (0, 100, 0, 0, 1)].
Proof. reflexivity. Qed.
Example the_books_balance : total 0 (grown (root fresh) family) = 1000.
Proof. reflexivity. Qed.

(* An operator locks the root of the family down: every session of it only reads; before, the grandchild did more. *)
Example lockdown_reaches_a_family :
  map (fun n => within (authority (now_at n)) reading) (family_run (root fresh) (family ++ [on 0 ELockdown])) =
    [true; true; true] /\
  map (fun n => within (authority (now_at n)) reading) (family_run (root fresh) (family ++ [on 1 ELockdown])) =
    [false; true; true].
Proof. split; reflexivity. Qed.

(* T21: a sandbox that sees private files, judged as what it is and as less. *)
Definition sandbox : spec :=
  {| path_rules := [{| label := bit E_PRIVATE; may_read := true; is_granted := true |}]; egress_rules := 1;
     execs := true; enforced := 255 |}.
Definition run_it (declared : N) (way_out : bool) : call := {|
  dimension_code := code dimension_index D_RUN_EXEC; risk_code := 0; sources := declared; sink := way_out;
  obliged := false; endorsed := false; scopes := 1; inside := 1; touches := compiled sandbox; cost := words width;
  digest := [] |}.
Example undeclared_is_denied :
  map (fun c => answer (decide fresh c 5)) [run_it 3 true; run_it 2 true; run_it 1 true; run_it 3 false] =
  [V_ASK; V_DENY; V_DENY; V_DENY].
Proof. reflexivity. Qed.

(* T22: bytes of a state with a ticket in it, read back; and one field at a time makes other bytes. *)
Definition busy : state := run fresh with_ticket.
Example busy_reads_back : decode_state (encode_state busy) = Some busy.
Proof. vm_compute. reflexivity. Qed.
Example size_of_a_state : N.of_nat (length (encode_state busy)) = 1710.
Proof. vm_compute. reflexivity. Qed.

(* T23: a log that was tampered with does not replay. *)
Example forged_answers_do_not_replay :
  replay fresh (log_of (pipeline fresh with_ticket)) = Some busy /\
  replay fresh (log_of (pipeline (step_lockdown fresh) with_ticket)) = None.
Proof. split; vm_compute; reflexivity. Qed.

(* T25: the least policy of a trace allows it, and one notch less does not. *)
Definition trace : list observation := [(5, read_private); (8, send)].
Example observed_is_enough :
  alone (begin (observe trace) (map (fun b => amount b trace) (seq 0 width)) me my_policy) read_private 5 = V_ALLOW /\
  levels (observe trace) = pack (fun d => match d with D_READ_FILES | D_WEB_FETCH => L_LOW_RISK | _ => L_NEVER end) /\
  (not_before (observe trace), not_after (observe trace)) = (5, 9) /\
  map (fun b => amount b trace) (seq 0 width) = [2; 1; 1; 1; 1; 1; 1; 1].
Proof. repeat split; reflexivity. Qed.
