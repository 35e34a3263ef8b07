(* Authority: struct krux_policy of policy/kernel/kernel.h field by field, and its order
   (policy/kernel/policy.c). Every field is the number that the C struct holds, so that the model also
   answers for numbers which mean nothing: a level of 3, a mode of 200. *)
Require Import Arith NArith List Bool Lia.
Require Import Krux.Tables.
Import ListNotations.
Open Scope N_scope.

Definition u64_max : N := 18446744073709551615.  (* UINT64_MAX *)

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

(* The other operations of the lattice. The kernel needs neither: nothing widens a policy. *)
Definition join (a b : policy) : policy := {|
  levels := pack (fun d => level_max (level_at (levels a) d) (level_at (levels b) d));
  required_layers := N.land (required_layers a) (required_layers b);
  obligations := N.land (obligations a) (obligations b);
  trifecta := mode_of (asks (trifecta a) || asks (trifecta b));
  trusted_action := mode_of (asks (trusted_action a) || asks (trusted_action b));
  depth := N.max (depth a) (depth b);
  not_before := N.min (not_before a) (not_before b);
  not_after := N.max (not_after a) (not_after b);
|}.
Definition bottom : policy := {|
  levels := pack (fun _ => L_NEVER);
  required_layers := N.ones 32;
  obligations := N.ones 16;
  trifecta := deny_code;
  trusted_action := deny_code;
  depth := 0;
  not_before := u64_max;
  not_after := 0;
|}.
(* What must still be granted to `a` so that it reaches `b`: the greatest x with meet x a <= b. *)
Definition implies (a b : policy) : policy := {|
  levels := pack (fun d => if level_leb (level_at (levels a) d) (level_at (levels b) d)
                           then L_ALWAYS else level_at (levels b) d);
  required_layers := N.ldiff (required_layers b) (required_layers a);
  obligations := N.ldiff (obligations b) (obligations a);
  trifecta := mode_of (implb (asks (trifecta a)) (asks (trifecta b)));
  trusted_action := mode_of (implb (asks (trusted_action a)) (asks (trusted_action b)));
  depth := if depth a <=? depth b then 255 else depth b;
  not_before := if not_before b <=? not_before a then 0 else not_before b;
  not_after := if not_after a <=? not_after b then u64_max else not_after b;
|}.

(* The numbers fit their C fields. *)
Definition fits_policy (p : policy) : Prop :=
  levels p < 2 ^ 32 /\ required_layers p < 2 ^ 32 /\ obligations p < 2 ^ 16 /\ trifecta p < 2 ^ 8 /\
  trusted_action p < 2 ^ 8 /\ depth p < 2 ^ 8 /\ not_before p < 2 ^ 64 /\ not_after p < 2 ^ 64.
(* No number stands for something that has another name: one policy for each meaning. *)
Definition canonical (p : policy) : Prop :=
  levels p = pack (level_at (levels p)) /\ trifecta p = mode_of (asks (trifecta p)) /\
  trusted_action p = mode_of (asks (trusted_action p)).
Definition le (a b : policy) : Prop := within a b = true.
Infix "<<=" := le (at level 70).

(* Levels in a word *)

Definition dimension_eqb (a b : dimension) : bool := Nat.eqb (dimension_index a) (dimension_index b).

Lemma level_code_small : forall l i, 2 <= i -> N.testbit (code level_index l) i = false.
Proof.
  intros l i Hi. rewrite <- (N.mod_small (code level_index l) (2 ^ 2)) by (destruct l; reflexivity).
  apply N.mod_pow2_bits_high. exact Hi.
Qed.

Lemma testbit_place : forall l d d' i, i < 2 ->
  N.testbit (N.shiftl (code level_index l) (place d')) (place d + i)
  = dimension_eqb d' d && N.testbit (code level_index l) i.
Proof.
  intros l d d' i Hi. unfold place, code, dimension_eqb.
  destruct (Nat.eqb_spec (dimension_index d') (dimension_index d)) as [E|E].
  - rewrite E, N.shiftl_spec_high' by lia.
    rewrite andb_true_l. f_equal. lia.
  - rewrite andb_false_l. destruct (N.ltb_spec (2 * N.of_nat (dimension_index d) + i) (2 * N.of_nat (dimension_index d'))).
    + apply N.shiftl_spec_low. assumption.
    + rewrite N.shiftl_spec_high' by assumption. apply level_code_small. lia.
Qed.

Lemma testbit_fields : forall f ds d i, i < 2 ->
  N.testbit (fold_right (fun d word => N.lor (N.shiftl (code level_index (f d)) (place d)) word) 0 ds)
    (place d + i)
  = existsb (fun d' => dimension_eqb d' d && N.testbit (code level_index (f d')) i) ds.
Proof.
  intros f ds d i Hi. induction ds as [|x ds IH]; cbn [fold_right existsb].
  - apply N.bits_0.
  - rewrite N.lor_spec, IH, testbit_place by assumption. reflexivity.
Qed.

Lemma testbit_pack : forall f d i, i < 2 ->
  N.testbit (pack f) (place d + i) = N.testbit (code level_index (f d)) i.
Proof.
  intros f d i Hi. unfold pack. rewrite testbit_fields by assumption.
  destruct d; cbn [all_dimension existsb dimension_eqb dimension_index Nat.eqb andb orb]; now rewrite ?orb_false_r.
Qed.

Lemma level_at_pack : forall f d, level_at (pack f) d = f d.
Proof.
  intros f d. unfold level_at.
  rewrite testbit_pack by lia. replace (place d) with (place d + 0) by lia.
  rewrite testbit_pack by lia. destruct (f d); reflexivity.
Qed.

Lemma pack_ext : forall f g, (forall d, f d = g d) -> pack f = pack g.
Proof. intros f g H. unfold pack. simpl. now rewrite !H. Qed.

Lemma fits_bits : forall n x, x < 2 ^ n <-> forall i, n <= i -> N.testbit x i = false.
Proof.
  intros n x. split.
  - intros F i L. rewrite <- (N.mod_small x (2 ^ n)) by assumption. now apply N.mod_pow2_bits_high.
  - intros H. destruct (N.eq_dec x 0) as [->|Z]; [apply N.neq_0_lt_0, N.pow_nonzero; lia|].
    apply N.log2_lt_pow2; [lia|]. destruct (N.lt_ge_cases (N.log2 x) n) as [L|L]; [assumption|].
    specialize (H _ L). now rewrite N.bit_log2 in H.
Qed.

Lemma lor_fits : forall n a b, a < 2 ^ n -> b < 2 ^ n -> N.lor a b < 2 ^ n.
Proof.
  intros n a b A B. rewrite fits_bits in *. intros i L. now rewrite N.lor_spec, A, B.
Qed.

Lemma pack_fits : forall f, pack f < 2 ^ 32.
Proof.
  intros f. unfold pack. induction all_dimension as [|d ds IH]; [reflexivity|].
  cbn [fold_right]. apply lor_fits; [|exact IH]. destruct d; destruct (f _); reflexivity.
Qed.

(* The order, read field by field *)

Lemma subset_bits : forall a b, N.ldiff a b = 0 <-> forall i, N.testbit a i = true -> N.testbit b i = true.
Proof.
  intros a b. split.
  - intros H i A. assert (B : N.testbit (N.ldiff a b) i = false) by (rewrite H; apply N.bits_0).
    rewrite N.ldiff_spec, A in B. now destruct (N.testbit b i).
  - intros H. apply N.bits_inj. intros i. rewrite N.ldiff_spec, N.bits_0.
    specialize (H i). destruct (N.testbit a i), (N.testbit b i); auto. now specialize (H eq_refl).
Qed.

Definition level_le (x y : level) : Prop := (level_index x <= level_index y)%nat.
Definition bits_le (a b : N) : Prop := forall i, N.testbit a i = true -> N.testbit b i = true.
Definition mode_le (a b : N) : Prop := asks a = true -> asks b = true.

Record fieldwise (a b : policy) : Prop := Fieldwise {
  le_levels : forall d, level_le (level_at (levels a) d) (level_at (levels b) d);
  le_layers : bits_le (required_layers b) (required_layers a);
  le_obligations : bits_le (obligations b) (obligations a);
  le_trifecta : mode_le (trifecta a) (trifecta b);
  le_trusted : mode_le (trusted_action a) (trusted_action b);
  le_depth : depth a <= depth b;
  le_before : not_before b <= not_before a;
  le_after : not_after a <= not_after b;
}.

Lemma in_all_dimension : forall d, In d all_dimension.
Proof. destruct d; simpl; tauto. Qed.

Lemma implb_le : forall x y, implb x y = true <-> (x = true -> y = true).
Proof. destruct x, y; simpl; intuition congruence. Qed.

Lemma le_fields : forall a b, a <<= b <-> fieldwise a b.
Proof.
  intros a b. unfold le, within. rewrite !andb_true_iff, forallb_forall, !N.eqb_eq, !N.leb_le, !implb_le, !subset_bits.
  split.
  - intros (((((((A & B) & C) & D) & E) & F) & G) & H). constructor; try assumption.
    intros d. apply Nat.leb_le. apply A, in_all_dimension.
  - intros [A B C D E F G H]. repeat split; try assumption.
    intros d _. apply Nat.leb_le, A.
Qed.

Lemma asks_mode_of : forall b, asks (mode_of b) = b.
Proof. destruct b; reflexivity. Qed.

Lemma level_min_le_l : forall x y, level_le (level_min x y) x.
Proof. destruct x, y; unfold level_le; simpl; lia. Qed.
Lemma level_min_le_r : forall x y, level_le (level_min x y) y.
Proof. destruct x, y; unfold level_le; simpl; lia. Qed.
Lemma level_min_glb : forall z x y, level_le z x -> level_le z y -> level_le z (level_min x y).
Proof. destruct z, x, y; unfold level_le; simpl; lia. Qed.
Lemma level_max_l : forall x y, level_le x (level_max x y).
Proof. destruct x, y; unfold level_le; simpl; lia. Qed.
Lemma level_max_r : forall x y, level_le y (level_max x y).
Proof. destruct x, y; unfold level_le; simpl; lia. Qed.
Lemma level_max_lub : forall z x y, level_le x z -> level_le y z -> level_le (level_max x y) z.
Proof. destruct z, x, y; unfold level_le; simpl; lia. Qed.
Lemma level_le_antisym : forall x y, level_le x y -> level_le y x -> x = y.
Proof. destruct x, y; unfold level_le; simpl; intros; try lia; reflexivity. Qed.

Ltac fields := cbn [meet join implies levels required_layers obligations trifecta trusted_action depth
  not_before not_after] in *; unfold mode_le, bits_le in *; rewrite ?asks_mode_of in *.

Lemma le_refl : forall a, a <<= a.
Proof. intros a. apply le_fields. constructor; unfold level_le, bits_le, mode_le; auto; lia. Qed.

Lemma le_trans : forall a b c, a <<= b -> b <<= c -> a <<= c.
Proof.
  intros a b c H K. apply le_fields in H, K. apply le_fields. destruct H, K. unfold mode_le, bits_le in *.
  constructor; unfold mode_le, bits_le; auto; try lia.
  intros d. unfold level_le in *. specialize (le_levels0 d). specialize (le_levels1 d). lia.
Qed.

Lemma meet_le_l : forall a b, meet a b <<= a.
Proof.
  intros a b. apply le_fields. constructor; fields; intros; try lia.
  - rewrite level_at_pack. apply level_min_le_l.
  - now rewrite N.lor_spec, H.
  - now rewrite N.lor_spec, H.
  - now apply andb_true_iff in H.
  - now apply andb_true_iff in H.
Qed.

Lemma meet_le_r : forall a b, meet a b <<= b.
Proof.
  intros a b. apply le_fields. constructor; fields; intros; try lia.
  - rewrite level_at_pack. apply level_min_le_r.
  - now rewrite N.lor_spec, H, orb_true_r.
  - now rewrite N.lor_spec, H, orb_true_r.
  - now apply andb_true_iff in H.
  - now apply andb_true_iff in H.
Qed.

Lemma meet_glb : forall a b c, c <<= a -> c <<= b -> c <<= meet a b.
Proof.
  intros a b c H K. apply le_fields in H, K. destruct H, K. apply le_fields.
  constructor; fields; intros; try lia.
  - rewrite level_at_pack. now apply level_min_glb.
  - rewrite N.lor_spec in H. apply orb_true_iff in H. destruct H; auto.
  - rewrite N.lor_spec in H. apply orb_true_iff in H. destruct H; auto.
  - apply andb_true_iff; auto.
  - apply andb_true_iff; auto.
Qed.

Lemma le_join_l : forall a b, a <<= join a b.
Proof.
  intros a b. apply le_fields. constructor; fields; intros; try lia.
  - rewrite level_at_pack. apply level_max_l.
  - rewrite N.land_spec in H. now apply andb_true_iff in H.
  - rewrite N.land_spec in H. now apply andb_true_iff in H.
  - now rewrite H.
  - now rewrite H.
Qed.

Lemma le_join_r : forall a b, b <<= join a b.
Proof.
  intros a b. apply le_fields. constructor; fields; intros; try lia.
  - rewrite level_at_pack. apply level_max_r.
  - rewrite N.land_spec in H. now apply andb_true_iff in H.
  - rewrite N.land_spec in H. now apply andb_true_iff in H.
  - now rewrite H, orb_true_r.
  - now rewrite H, orb_true_r.
Qed.

Lemma join_lub : forall a b c, a <<= c -> b <<= c -> join a b <<= c.
Proof.
  intros a b c H K. apply le_fields in H, K. destruct H, K. apply le_fields.
  constructor; fields; intros; try lia.
  - rewrite level_at_pack. now apply level_max_lub.
  - rewrite N.land_spec. apply andb_true_iff; auto.
  - rewrite N.land_spec. apply andb_true_iff; auto.
  - apply orb_true_iff in H. destruct H; auto.
  - apply orb_true_iff in H. destruct H; auto.
Qed.

Lemma level_le_always : forall x, level_le x L_ALWAYS.
Proof. destruct x; unfold level_le; simpl; lia. Qed.

Lemma fits_bounds : forall p, fits_policy p ->
  depth p <= 255 /\ not_before p <= u64_max /\ not_after p <= u64_max.
Proof.
  intros p F. destruct F as (_ & _ & _ & _ & _ & D & B & A).
  change (2 ^ 8) with (N.succ 255) in D. change (2 ^ 64) with (N.succ u64_max) in A, B. lia.
Qed.

Lemma le_top : forall a, fits_policy a -> a <<= top.
Proof.
  intros a F. apply fits_bounds in F as (D & B & A). apply le_fields.
  constructor; cbn [top levels required_layers obligations trifecta trusted_action depth not_before not_after];
    unfold bits_le, mode_le; intros; auto.
  - rewrite level_at_pack. apply level_le_always.
  - now rewrite N.bits_0 in H.
  - now rewrite N.bits_0 in H.
  - lia.
Qed.

Lemma ones_bits : forall n x i, x < 2 ^ n -> N.testbit x i = true -> N.testbit (N.ones n) i = true.
Proof.
  intros n x i F B. destruct (N.lt_ge_cases i n) as [L|L].
  - now apply N.ones_spec_low.
  - rewrite fits_bits in F. now rewrite F in B.
Qed.

Lemma bottom_le : forall a, fits_policy a -> bottom <<= a.
Proof.
  intros a F. pose proof (fits_bounds a F) as (D & B & A). destruct F as (_ & L & O & _). apply le_fields.
  constructor; cbn [bottom levels required_layers obligations trifecta trusted_action depth not_before not_after];
    unfold bits_le, mode_le; intros; try lia; try discriminate.
  - rewrite level_at_pack. destruct (level_at (levels a) d); unfold level_le; simpl; lia.
  - exact (ones_bits 32 _ _ L H).
  - exact (ones_bits 16 _ _ O H).
Qed.

Lemma canonical_antisym : forall a b, canonical a -> canonical b -> a <<= b -> b <<= a -> a = b.
Proof.
  intros a b (La & Ta & Sa) (Lb & Tb & Sb) H K.
  apply le_fields in H, K. destruct H as [H1 H2 H3 H4 H5 H6 H7 H8], K as [K1 K2 K3 K4 K5 K6 K7 K8].
  assert (E1 : levels a = levels b).
  { rewrite La, Lb. apply pack_ext. intros d. now apply level_le_antisym. }
  assert (B : forall x y, bits_le x y -> bits_le y x -> x = y).
  { intros x y P Q. apply N.bits_inj. intros i. specialize (P i). specialize (Q i).
    destruct (N.testbit x i), (N.testbit y i); auto; intuition congruence. }
  assert (M : forall x y, x = mode_of (asks x) -> y = mode_of (asks y) -> mode_le x y -> mode_le y x -> x = y).
  { unfold mode_le. intros x y P Q R S. rewrite P, Q. f_equal. destruct (asks x), (asks y); intuition congruence. }
  destruct a, b; simpl in *. f_equal; auto; lia.
Qed.

Lemma canonical_meet : forall a b, canonical (meet a b).
Proof.
  intros a b. unfold canonical, meet; simpl. rewrite !asks_mode_of. repeat split.
  apply pack_ext. intros d. now rewrite level_at_pack.
Qed.
Lemma canonical_join : forall a b, canonical (join a b).
Proof.
  intros a b. unfold canonical, join; simpl. rewrite !asks_mode_of. repeat split.
  apply pack_ext. intros d. now rewrite level_at_pack.
Qed.

Lemma meet_join_distr : forall a b c, meet a (join b c) = join (meet a b) (meet a c).
Proof.
  intros a b c. unfold meet, join; simpl. f_equal; rewrite ?asks_mode_of.
  - apply pack_ext. intros d. rewrite !level_at_pack.
    destruct (level_at (levels a) d), (level_at (levels b) d), (level_at (levels c) d); reflexivity.
  - apply N.lor_land_distr_r.
  - apply N.lor_land_distr_r.
  - f_equal. apply andb_orb_distrib_r.
  - f_equal. apply andb_orb_distrib_r.
  - lia.
  - lia.
  - lia.
Qed.

(** T1. Policies form a bounded distributive lattice: `within` is an order, meet the greatest lower bound, join the
    least upper one, top and bottom are the ends, and meet distributes over join. *)
Theorem policies_form_a_lattice :
  (forall a, a <<= a) /\
  (forall a b c, a <<= b -> b <<= c -> a <<= c) /\
  (forall a b, canonical a -> canonical b -> a <<= b -> b <<= a -> a = b) /\
  (forall a b, canonical (meet a b) /\ canonical (join a b)) /\
  (forall a b, meet a b <<= a /\ meet a b <<= b) /\
  (forall a b c, c <<= a -> c <<= b -> c <<= meet a b) /\
  (forall a b, a <<= join a b /\ b <<= join a b) /\
  (forall a b c, a <<= c -> b <<= c -> join a b <<= c) /\
  (forall a, fits_policy a -> a <<= top /\ bottom <<= a) /\
  (forall a b c, meet a (join b c) = join (meet a b) (meet a c)).
Proof.
  exact (conj le_refl (conj le_trans (conj canonical_antisym
    (conj (fun a b => conj (canonical_meet a b) (canonical_join a b))
    (conj (fun a b => conj (meet_le_l a b) (meet_le_r a b)) (conj meet_glb
    (conj (fun a b => conj (le_join_l a b) (le_join_r a b)) (conj join_lub
    (conj (fun a F => conj (le_top a F) (bottom_le a F)) meet_join_distr))))))))).
Qed.

(** T2. What a policy lacks can be named: `implies a b` is the greatest policy whose meet with a stays within b, for
    single levels as for whole policies. *)
Theorem heyting_adjunction :
  (forall x a b : level, level_le (level_min x a) b <-> level_le x (if level_leb a b then L_ALWAYS else b)) /\
  (forall x a b : policy, fits_policy x -> (meet x a <<= b <-> x <<= implies a b)).
Proof.
  assert (L : forall x a b : level,
    level_le (level_min x a) b <-> level_le x (if level_leb a b then L_ALWAYS else b)).
  { destruct x, a, b; unfold level_le; simpl; lia. }
  split; [exact L|]. intros x a b F. apply fits_bounds in F.
  rewrite !le_fields. split; intros H; destruct H as [H1 H2 H3 H4 H5 H6 H7 H8];
    constructor; fields; intros.
  - specialize (H1 d). rewrite level_at_pack in *. now apply L.
  - rewrite N.ldiff_spec in H. apply andb_true_iff in H as [P Q]. specialize (H2 i P).
    rewrite N.lor_spec in H2. now destruct (N.testbit (required_layers x) i), (N.testbit (required_layers a) i).
  - rewrite N.ldiff_spec in H. apply andb_true_iff in H as [P Q]. specialize (H3 i P).
    rewrite N.lor_spec in H3. now destruct (N.testbit (obligations x) i), (N.testbit (obligations a) i).
  - rewrite H in H4. simpl in H4. now apply implb_le.
  - rewrite H in H5. simpl in H5. now apply implb_le.
  - destruct (N.leb_spec (depth a) (depth b)); lia.
  - destruct (N.leb_spec (not_before b) (not_before a)); lia.
  - destruct (N.leb_spec (not_after a) (not_after b)); lia.
  - specialize (H1 d). rewrite level_at_pack in *. now apply L.
  - rewrite N.lor_spec. specialize (H2 i). rewrite N.ldiff_spec, H in H2.
    destruct (N.testbit (required_layers x) i), (N.testbit (required_layers a) i); auto.
  - rewrite N.lor_spec. specialize (H3 i). rewrite N.ldiff_spec, H in H3.
    destruct (N.testbit (obligations x) i), (N.testbit (obligations a) i); auto.
  - apply andb_true_iff in H as [P Q]. specialize (H4 P). rewrite implb_le in H4. auto.
  - apply andb_true_iff in H as [P Q]. specialize (H5 P). rewrite implb_le in H5. auto.
  - destruct (N.leb_spec (depth a) (depth b)); lia.
  - destruct (N.leb_spec (not_before b) (not_before a)); lia.
  - destruct (N.leb_spec (not_after a) (not_after b)); lia.
Qed.

(* A policy that reads only and one that may do everything: what the first lacks of the second is everything
   but reading. *)
Example implies_names_what_is_missing :
  let reader := meet top (implies top bottom) in
  reader <<= bottom /\ ~ (top <<= implies top bottom).
Proof. split; vm_compute; [reflexivity | discriminate]. Qed.
