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

Lemma bit_spec : forall l i, N.testbit (bit l) i = (code leg_index l =? i).
Proof. intros. unfold bit. now rewrite N.shiftl_1_l, N.pow2_bits_eqb. Qed.

Lemma full_has : forall e, full e = true <-> forall l, has e l = true.
Proof.
  intros e. unfold full, has. rewrite N.eqb_eq. split.
  - intros H l. assert (T : N.testbit (N.land e all_legs) (code leg_index l) = true)
      by (rewrite H; destruct l; reflexivity).
    rewrite N.land_spec in T. now apply andb_true_iff in T.
  - intros H. apply N.bits_inj. intros i. rewrite N.land_spec.
    destruct (N.testbit all_legs i) eqn:B; [|apply andb_false_r]. rewrite andb_true_r.
    unfold all_legs in B. cbn [fold_right all_leg] in B. rewrite !N.lor_spec, !bit_spec, N.bits_0 in B.
    rewrite !orb_true_iff, !N.eqb_eq in B. destruct B as [B|[B|[B|B]]]; try discriminate; rewrite <- B; apply H.
Qed.

(** T10. Exposure is a join semilattice: union is associative, commutative and idempotent, nothing is its neutral element,
    it never loses a leg, and the set is full exactly when it holds all three. *)
Theorem exposure_semilattice :
  (forall a b c, N.lor a (N.lor b c) = N.lor (N.lor a b) c) /\
  (forall a b, N.lor a b = N.lor b a) /\ (forall a, N.lor a a = a) /\ (forall a, N.lor 0 a = a) /\
  (forall a b l, has (N.lor a b) l = has a l || has b l) /\
  (forall e, full e = true <-> has e E_PRIVATE = true /\ has e E_UNTRUSTED = true /\ has e E_EXFIL = true).
Proof.
  repeat split; auto using N.lor_assoc, N.lor_comm, N.lor_diag, N.lor_0_l; try (now apply full_has).
  - intros. apply N.lor_spec.
  - intros (P & U & X). apply full_has. now destruct l.
Qed.

Lemma contribution_small : forall c, contribution c < 2 ^ 3.
Proof.
  intros c. unfold contribution. apply lor_fits.
  - apply fits_bits. intros i L. rewrite N.land_spec. change all_legs with (N.ones 3).
    rewrite N.ones_spec_high by assumption. apply andb_false_r.
  - destruct (sink c); reflexivity.
Qed.
