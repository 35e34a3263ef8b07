(* Authority: struct krux_policy of policy/kernel/kernel.h field by field, and its order
   (policy/kernel/policy.c). Every field is the number that the C struct holds, so that the model also
   answers for numbers which mean nothing: a level of 3, a mode of 200. *)
Require Import NArith List Bool Lia.
Require Import Krux.Tables.
Import ListNotations.
Open Scope N_scope.

Definition u64_max : N := 18446744073709551615.

Record policy : Set := Policy {
  levels : N;
  required_layers : N;
  obligations : N;
  trifecta : N;
  trusted_action : N;
  depth : N;
  not_before : N;
  not_after : N;
}.

(* Codes: the position of a name in its table. *)
Definition code {A : Set} (index : A -> nat) (x : A) : N := N.of_nat (index x).
Definition ask_code : N := code verdict_index V_ASK.
Definition deny_code : N := code verdict_index V_DENY.

Definition dimensions : N := N.of_nat (length all_dimension).
Definition dimension_of (c : N) : option dimension :=
  if c <? dimensions then nth_error all_dimension (N.to_nat c) else None.
Definition none_code : N := dimensions.

(* Levels, two bits a dimension. *)
Definition place (d : dimension) : N := 2 * code dimension_index d.
Definition level_at (word : N) (d : dimension) : level :=
  match N.testbit word (place d + 1), N.testbit word (place d) with
  | false, true => L_LOW_RISK
  | true, false => L_ALWAYS
  | _, _ => L_NEVER
  end.
Definition pack (f : dimension -> level) : N :=
  fold_right (fun d word => N.lor (N.shiftl (code level_index (f d)) (place d)) word) 0 all_dimension.

(* krux_policy_level *)
Definition policy_level (p : policy) (c : N) : level :=
  match dimension_of c with Some d => level_at (levels p) d | None => L_NEVER end.

Definition level_leb (x y : level) : bool := Nat.leb (level_index x) (level_index y).
Definition level_min (x y : level) : level := if level_leb x y then x else y.
Definition level_max (x y : level) : level := if level_leb x y then y else x.

Definition asks (mode : N) : bool := mode =? ask_code.
Definition mode_of (a : bool) : N := if a then ask_code else deny_code.

(* krux_policy_top *)
Definition top : policy := {|
  levels := pack (fun _ => L_ALWAYS);
  required_layers := 0;
  obligations := 0;
  trifecta := ask_code;
  trusted_action := ask_code;
  depth := 255;
  not_before := 0;
  not_after := u64_max;
|}.

(* krux_policy_meet *)
Definition meet (a b : policy) : policy := {|
  levels := pack (fun d => level_min (level_at (levels a) d) (level_at (levels b) d));
  required_layers := N.lor (required_layers a) (required_layers b);
  obligations := N.lor (obligations a) (obligations b);
  trifecta := mode_of (asks (trifecta a) && asks (trifecta b));
  trusted_action := mode_of (asks (trusted_action a) && asks (trusted_action b));
  depth := N.min (depth a) (depth b);
  not_before := N.max (not_before a) (not_before b);
  not_after := N.min (not_after a) (not_after b);
|}.

(* krux_policy_within: a <= b *)
Definition within (a b : policy) : bool :=
  forallb (fun d => level_leb (level_at (levels a) d) (level_at (levels b) d)) all_dimension
  && (N.ldiff (required_layers b) (required_layers a) =? 0)
  && (N.ldiff (obligations b) (obligations a) =? 0)
  && implb (asks (trifecta a)) (asks (trifecta b))
  && implb (asks (trusted_action a)) (asks (trusted_action b))
  && (depth a <=? depth b)
  && (not_before b <=? not_before a)
  && (not_after a <=? not_after b).
