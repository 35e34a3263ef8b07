(* Exposure: a set of legs, bit n for line n of the table; join is union. What a call adds to it. *)
Require Import Arith NArith List Bool Lia.
Require Import Krux.Tables Krux.Lattice.
Import ListNotations.
Open Scope N_scope.

Definition bit (l : leg) : N := N.shiftl 1 (code leg_index l).
Definition all_legs : N := fold_right (fun l set => N.lor (bit l) set) 0 all_leg.
Definition has (set : N) (l : leg) : bool := N.testbit set (code leg_index l).
Definition full (set : N) : bool := N.land set all_legs =? all_legs.
Definition subset (a b : N) : bool := N.ldiff a b =? 0.

(* struct krux_footprint *)
Record footprint : Set := Footprint {
  readable : N;
  network : bool;
  runs_program : bool;
  within_grants : bool;
  layers : N;
}.

(* struct krux_call *)
Record call : Set := Call {
  dimension_code : N;
  risk_code : N;
  sources : N;
  sink : bool;
  obliged : bool;
  endorsed : bool;
  scopes : N;
  inside : N;
  touches : footprint;
  cost : list N;
  digest : list N;
}.

(* krux_contribution, krux_footprint_legs *)
Definition contribution (c : call) : N :=
  N.lor (N.land (sources c) all_legs) (if sink c then bit E_EXFIL else 0).
Definition footprint_legs (f : footprint) : N :=
  N.lor (N.land (readable f) all_legs)
        (if network f then N.lor (bit E_UNTRUSTED) (bit E_EXFIL) else 0).
