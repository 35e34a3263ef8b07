(* Observing: from calls that were made to the least policy and the least budget under which all of them are allowed
   without a question. *)
Require Import Arith NArith List Bool Lia.
Require Import Krux.Tables Krux.Lattice Krux.Exposure Krux.Decide Krux.Session Krux.Delegate Krux.Codec.
Import ListNotations.
Open Scope N_scope.

Definition observation : Set := N * call.
Definition shaped_call (o : observation) : Prop := length (cost (snd o)) = width.

(* Each call of the trace is allowed by its parts alone, one after the other. *)
Fixpoint admits (s : state) (trace : list observation) : Prop :=
  match trace with
  | [] => True
  | (now, c) :: rest => alone s c now = V_ALLOW /\ admits (after s (ECall now c)) rest
  end.

(* What no policy can change: a call that some policy and budget allows, in a session that has seen `e`. *)
Definition own_of_krux (c : call) : bool := dimension_code c =? none_code.
Definition quiet_gate (e : N) (c : call) : bool :=
  negb (has (contribution c) E_EXFIL) || endorsed c || negb (full (N.lor e (contribution c))).
Definition quiet_trust (e : N) (c : call) : bool :=
  match dimension_of (dimension_code c) with
  | None => true
  | Some d => endorsed c || negb (consequential d) || negb (has e E_UNTRUSTED)
  end.
Definition ordinary (c : call) : bool :=
  match risk_of (risk_code c) with
  | None => false
  | Some R_CRITICAL => own_of_krux c
  | Some _ => own_of_krux c || match dimension_of (dimension_code c) with Some _ => true | None => false end
  end.
Fixpoint admissible (e : N) (trace : list observation) : Prop :=
  match trace with
  | [] => True
  | (_, c) :: rest =>
    ordinary c = true /\ obliged c = false /\ of_scope c = V_ALLOW /\ of_confinement c = V_ALLOW /\
    quiet_gate e c = true /\ quiet_trust e c = true /\ admissible (N.lor e (contribution c)) rest
  end.

(* The least policy for one call, and for all of them. *)
Definition is_dimension (c : call) (d : dimension) : bool := dimension_code c =? code dimension_index d.
Definition enough (c : call) : level := match risk_of (risk_code c) with Some R_LOW => L_LOW_RISK | _ => L_ALWAYS end.
Definition used_bit (c : call) : N :=
  match dimension_of (dimension_code c) with Some d => N.shiftl 1 (code dimension_index d) | None => 0 end.
Definition need (o : observation) : policy := let (now, c) := o in {|
  levels := pack (fun d => if is_dimension c d then enough c else L_NEVER);
  required_layers := N.land (layers (touches c)) (N.ones 32);
  obligations := N.ldiff (N.ones 16) (used_bit c);
  trifecta := deny_code;
  trusted_action := deny_code;
  depth := if is_dimension c D_SPAWN_AGENT then 1 else 0;
  not_before := now;
  not_after := now + 1;
|}.
Definition observe (trace : list observation) : policy := fold_right (fun o p => join (need o) p) bottom trace.

(* The least budget: something must be left before each call that is not krux's own. *)
Fixpoint amount (b : nat) (trace : list observation) : N :=
  match trace with
  | [] => 0
  | (_, c) :: rest =>
    N.max (N.max (nth b (cost c) 0) (if own_of_krux c then 0 else 1)) (nth b (cost c) 0 + amount b rest)
  end.

Lemma dimension_of_code : forall d, dimension_of (code dimension_index d) = Some d.
Proof. destruct d; reflexivity. Qed.

Lemma dimension_of_some : forall c d, dimension_of c = Some d -> c = code dimension_index d.
Proof.
  intros c d H. unfold dimension_of in H. destruct (N.ltb_spec c dimensions) as [L|L]; [|discriminate].
  rewrite <- (Nnat.N2Nat.id c). unfold code. f_equal. revert H L. generalize (N.to_nat c) as n.
  intros n H _. do 16 (destruct n as [|n]; [injection H as <-; reflexivity|]). destruct n; discriminate.
Qed.

Lemma dimension_of_none : forall c, dimension_of c = None -> c = none_code \/ none_code < c.
Proof.
  intros c H. unfold dimension_of in H. destruct (N.ltb_spec c dimensions) as [L|L].
  - apply nth_error_None in H. change (length all_dimension) with 16%nat in H. change dimensions with 16 in L. lia.
  - unfold none_code. lia.
Qed.

(* The parts that read the policy *)

Definition policy_admits (p : policy) (now : N) (c : call) : Prop :=
  of_level p c = V_ALLOW /\ of_obligation p c = V_ALLOW /\ not_before p <= now /\ now < not_after p /\
  subset (required_layers p) (layers (touches c)) = true /\
  (is_dimension c D_SPAWN_AGENT = true -> depth p <> 0).

Lemma level_enough : forall p c, ordinary c = true ->
  (of_level p c = V_ALLOW <-> forall d, is_dimension c d = true -> level_le (enough c) (level_at (levels p) d)).
Proof.
  intros p c O. unfold ordinary, own_of_krux in O. unfold of_level, is_dimension, enough.
  destruct (risk_of (risk_code c)) as [r|]; [|discriminate].
  destruct (N.eqb_spec (dimension_code c) none_code) as [E|E].
  - split; auto. intros _ d D. apply N.eqb_eq in D. rewrite E in D. destruct d; discriminate.
  - unfold policy_level. destruct (dimension_of (dimension_code c)) as [d|] eqn:D.
    + apply dimension_of_some in D. rewrite D. split.
      * intros H x X. apply N.eqb_eq in X. assert (x = d) by (destruct x, d; congruence || discriminate). subst x.
        destruct (level_at (levels p) d), r; try discriminate; unfold level_le; simpl; lia.
      * intros H. specialize (H d (N.eqb_refl _)).
        destruct (level_at (levels p) d), r; unfold level_le in H; simpl in H; try lia; auto; discriminate.
    + destruct r; discriminate.
Qed.

Lemma need_least : forall p now c, fits_policy p -> ordinary c = true -> obliged c = false ->
  (policy_admits p now c <-> need (now, c) <<= p).
Proof.
  intros p now c F O B. unfold policy_admits. rewrite level_enough by exact O. rewrite le_fields.
  destruct F as (_ & F2 & F3 & _). unfold of_obligation. rewrite B. split.
  - intros (L & Q & NB & NA & LY & D). constructor;
      cbn [need levels required_layers obligations trifecta trusted_action depth not_before not_after]; try lia.
    + intros d. rewrite level_at_pack. destruct (is_dimension c d) eqn:I; auto.
      unfold level_le; simpl; lia.
    + intros i H. rewrite N.land_spec. unfold subset in LY. apply N.eqb_eq in LY. rewrite subset_bits in LY.
      rewrite (LY i H). exact (ones_bits 32 _ i F2 H).
    + intros i H. rewrite N.ldiff_spec, (ones_bits 16 _ i F3 H). unfold used_bit.
      destruct (dimension_of (dimension_code c)) as [d|]; [|now rewrite N.bits_0].
      rewrite N.shiftl_1_l, N.pow2_bits_eqb. destruct (N.eqb_spec (code dimension_index d) i) as [E|E]; auto.
      subst i. now rewrite H in Q.
    + intros H. discriminate.
    + intros H. discriminate.
    + destruct (is_dimension c D_SPAWN_AGENT); [specialize (D eq_refl)|]; lia.
  - intros [L1 L2 L3 _ _ L6 L7 L8].
    cbn [need levels required_layers obligations trifecta trusted_action depth not_before not_after] in *.
    split; [|split; [|split; [|split; [|split]]]]; try lia.
    + intros d I. specialize (L1 d). rewrite level_at_pack, I in L1. exact L1.
    + destruct (dimension_of (dimension_code c)) as [d|] eqn:D; auto.
      destruct (N.testbit (obligations p) (code dimension_index d)) eqn:H; auto.
      specialize (L3 _ H). unfold used_bit in L3. rewrite D, N.ldiff_spec, N.shiftl_1_l, N.pow2_bits_true in L3.
      now rewrite andb_false_r in L3.
    + unfold subset. apply N.eqb_eq, subset_bits. intros i H. specialize (L2 i H). rewrite N.land_spec in L2.
      now apply andb_true_iff in L2.
    + intros I. rewrite I in L6. lia.
Qed.

Lemma all_le_iff : forall a b, length a = length b ->
  (all_le a b = true <-> forall i, (i < length a)%nat -> nth i a 0 <= nth i b 0).
Proof.
  induction a as [|x a IH]; intros [|y b] L; simpl in *; try discriminate.
  - split; auto. intros _ i H. lia.
  - rewrite andb_true_iff, N.leb_le, IH by lia. split.
    + intros [P Q] [|i] H; auto. apply Q. lia.
    + intros H. split; [apply (H O); lia|]. intros i K. apply (H (S i)). lia.
Qed.

Lemma none_exhausted : forall l, existsb (N.eqb 0) l = false <-> forall i, (i < length l)%nat -> 1 <= nth i l 0.
Proof.
  induction l as [|x l IH]; cbn [existsb length].
  - split; auto. intros _ i H. lia.
  - rewrite orb_false_iff, IH, N.eqb_neq. split.
    + intros [P Q] [|i] H; cbn [nth]; [lia | apply Q; lia].
    + intros H. split; [specialize (H O); cbn [nth] in H; lia|]. intros i K. apply (H (S i)). lia.
Qed.

(* Every part of one call, taken apart into what the call, the policy and the budget have to say. *)
Lemma one_call : forall s c now, length (remaining s) = width -> length (cost c) = width ->
  (alone s c now = V_ALLOW <->
    ordinary c = true /\ obliged c = false /\ of_scope c = V_ALLOW /\ of_confinement c = V_ALLOW /\
    quiet_gate (exposure s) c = true /\ quiet_trust (exposure s) c = true /\
    policy_admits (authority s) now c /\
    forall b, (b < width)%nat ->
      N.max (nth b (cost c) 0) (if own_of_krux c then 0 else 1) <= nth b (remaining s) 0).
Proof.
  intros s c now R K. rewrite alone_allow.
  assert (G : of_gate s c 0 = V_ALLOW <-> quiet_gate (exposure s) c = true).
  { unfold of_gate, quiet_gate. rewrite N.ldiff_0_r. destruct (has (contribution c) E_EXFIL), (endorsed c); simpl;
      try (split; auto; fail). destruct (full _); simpl; [|split; auto]. unfold guard. destruct (asks _); split; discriminate. }
  assert (T : of_trust s c 0 = V_ALLOW <-> quiet_trust (exposure s) c = true).
  { unfold of_trust, quiet_trust. rewrite N.ldiff_0_r. destruct (dimension_of _); [|split; auto].
    destruct (endorsed c), (consequential d); simpl; try (split; auto; fail).
    destruct (has _ _); simpl; [|split; auto]. unfold guard. destruct (asks _); split; discriminate. }
  assert (OB : of_obligation (authority s) c = V_ALLOW -> obliged c = false).
  { unfold of_obligation. destruct (obliged c); [discriminate | auto]. }
  assert (OR : of_level (authority s) c = V_ALLOW -> ordinary c = true).
  { unfold of_level, ordinary, own_of_krux. destruct (risk_of (risk_code c)) as [r|]; [|discriminate].
    destruct (dimension_code c =? none_code); [destruct r; auto|]. unfold policy_level.
    destruct (dimension_of _) as [d|]; [|discriminate].
    destruct (level_at _ d), r; auto; discriminate. }
  assert (L : of_limit s c now = V_ALLOW <->
    (not_before (authority s) <= now /\ now < not_after (authority s) /\
     subset (required_layers (authority s)) (layers (touches c)) = true /\
     (is_dimension c D_SPAWN_AGENT = true -> depth (authority s) <> 0)) /\
    forall b, (b < width)%nat ->
      N.max (nth b (cost c) 0) (if own_of_krux c then 0 else 1) <= nth b (remaining s) 0).
  { unfold of_limit.
    assert (P : all_le (cost c) (remaining s) = true /\
        existsb (N.eqb 0) (remaining s) && negb (own_of_krux c) = false <->
      forall b, (b < width)%nat ->
        N.max (nth b (cost c) 0) (if own_of_krux c then 0 else 1) <= nth b (remaining s) 0).
    { rewrite all_le_iff by congruence. rewrite K. destruct (own_of_krux c).
      - rewrite andb_false_r. split.
        + intros [H _] b B. specialize (H b B). lia.
        + intros H. split; auto. intros b B. specialize (H b B). lia.
      - rewrite andb_true_r, none_exhausted, R. split.
        + intros [H J] b B. specialize (H b B). specialize (J b B). lia.
        + intros H. split; intros b B; specialize (H b B); lia. }
    rewrite <- P. unfold own_of_krux in *. unfold is_dimension. clear P.
    destruct (all_le (cost c) (remaining s)); cbn [negb]; [|split; [discriminate | intros (_ & X & _); discriminate]].
    destruct (existsb (N.eqb 0) (remaining s) && _); [split; [discriminate | intros (_ & _ & X); discriminate]|].
    destruct (N.ltb_spec now (not_before (authority s))), (N.leb_spec (not_after (authority s)) now); cbn [orb];
      try (split; [discriminate | intros ((A & B & _) & _); lia]).
    destruct (subset _ _); cbn [negb]; [|split; [discriminate | intros ((_ & _ & X & _) & _); discriminate]].
    destruct (dimension_code c =? _); cbn [andb]; [|split; auto; intros _; repeat split; auto; discriminate].
    destruct (N.eqb_spec (depth (authority s)) 0) as [Z|Z].
    - split; [discriminate|]. intros ((_ & _ & _ & X) & _). now destruct (X eq_refl).
    - split; auto. }
  unfold policy_admits. split.
  - intros H. pose proof (H C_LEVEL : of_level (authority s) c = V_ALLOW) as H1.
    pose proof (H C_OBLIGATION : of_obligation (authority s) c = V_ALLOW) as H2.
    pose proof (H C_SCOPE : of_scope c = V_ALLOW) as H3.
    pose proof (proj1 G (H C_GATE)) as H4. pose proof (proj1 T (H C_TRUST)) as H5.
    pose proof (H C_CONFINEMENT : of_confinement c = V_ALLOW) as H6. pose proof (proj1 L (H C_LIMIT)) as H7.
    destruct H7 as [H7 H8].
    exact (conj (OR H1) (conj (OB H2) (conj H3 (conj H6 (conj H4 (conj H5 (conj (conj H1 (conj H2 H7)) H8))))))).
  - intros (H1 & H2 & H3 & H4 & H5 & H6 & (H7 & H8 & H9) & H10) k. destruct k; cbn [part]; auto.
    + now apply G.
    + now apply T.
    + apply L. exact (conj H9 H10).
Qed.

Lemma join_least : forall a b p, join a b <<= p <-> a <<= p /\ b <<= p.
Proof.
  intros a b p. split.
  - intros H. exact (conj (le_trans _ _ _ (le_join_l a b) H) (le_trans _ _ _ (le_join_r a b) H)).
  - intros [H K]. now apply join_lub.
Qed.

Lemma admits_iff : forall trace s, fits_policy (authority s) -> length (remaining s) = width ->
  Forall shaped_call trace ->
  (admits s trace <-> admissible (exposure s) trace /\ observe trace <<= authority s /\
     forall b, (b < width)%nat -> amount b trace <= nth b (remaining s) 0).
Proof.
  induction trace as [|[now c] trace IH]; intros s F R S; cbn [admits admissible observe fold_right amount].
  - split; auto. intros _. exact (conj I (conj (bottom_le _ F) (fun b _ => N.le_0_l _))).
  - inversion S as [|x y S1 S2]; subst. unfold shaped_call in S1. cbn [snd] in S1. fold (observe trace). rewrite join_least, one_call by assumption.
    assert (D : alone s c now = V_ALLOW -> answer (decide s c now) = V_ALLOW).
    { intros A. rewrite answer_eq. now rewrite A. }
    assert (N : alone s c now = V_ALLOW ->
      authority (after s (ECall now c)) = authority s /\
      exposure (after s (ECall now c)) = N.lor (exposure s) (contribution c) /\
      remaining (after s (ECall now c)) = zip N.sub (remaining s) (cost c)).
    { intros A. unfold after. cbn [step]. unfold step_call. cbn [fst]. rewrite (D A). repeat split. }
    split.
    + intros [H K]. pose proof H as A. rewrite <- one_call in A by assumption.
      destruct (N A) as (N1 & N2 & N3). destruct H as (H1 & H2 & H3 & H4 & H5 & H6 & H7 & H8).
      rewrite need_least in H7 by assumption.
      rewrite IH in K; [|now rewrite N1 | now apply after_width | assumption].
      rewrite N1, N2, N3 in K. destruct K as (K1 & K2 & K3).
      refine (conj (conj H1 (conj H2 (conj H3 (conj H4 (conj H5 (conj H6 K1)))))) (conj (conj H7 K2) _)).
      intros b B. specialize (K3 b B). specialize (H8 b B). rewrite nth_zip in K3 by lia. lia.
    + intros ((H1 & H2 & H3 & H4 & H5 & H6 & K1) & (H7 & K2) & H8).
      assert (P : ordinary c = true /\ obliged c = false /\ of_scope c = V_ALLOW /\ of_confinement c = V_ALLOW /\
        quiet_gate (exposure s) c = true /\ quiet_trust (exposure s) c = true /\
        policy_admits (authority s) now c /\
        forall b, (b < width)%nat ->
          N.max (nth b (cost c) 0) (if own_of_krux c then 0 else 1) <= nth b (remaining s) 0).
      { rewrite need_least by assumption.
        refine (conj H1 (conj H2 (conj H3 (conj H4 (conj H5 (conj H6 (conj H7 _))))))).
        intros b B. specialize (H8 b B). lia. }
      split; [exact P|]. rewrite <- one_call in P by assumption. destruct (N P) as (N1 & N2 & N3).
      apply IH; [now rewrite N1 | now apply after_width | assumption|].
      rewrite N1, N2, N3. refine (conj K1 (conj K2 _)). intros b B. specialize (H8 b B). rewrite nth_zip by lia. lia.
Qed.

(** T25. What is observed is least: a session under some policy and budget allows a trace of calls, all of them without a
    question, if and only if the observed policy lies within that policy and the observed amounts within that budget
    (and the calls are such that any policy could). *)
Theorem observe_is_least : forall trace p limits session id, fits_policy p -> length limits = width ->
  Forall shaped_call trace ->
  (admits (begin p limits session id) trace <->
     admissible 0 trace /\ observe trace <<= p /\ forall b, (b < width)%nat -> amount b trace <= nth b limits 0).
Proof. intros trace p limits session id F L S. now apply admits_iff. Qed.
