(* Delegation: a tree of sessions, each with what it has spent. Sessions come to be by delegation alone. *)
Require Import Arith NArith List Bool Lia.
Require Import Krux.Tables Krux.Lattice Krux.Exposure Krux.Decide Krux.Session.
Import ListNotations.
Open Scope N_scope.

(* A session of the tree. `spent` is what calls and charges took of its budget, `waived` what attenuations cut off;
   `born_under` is the parent's authority when it delegated. None of them is in the kernel's state: they are the
   books that T17 balances and T18 reads. *)
Record node : Set := Node {
  now_at : state;
  parent : option nat;
  born_under : policy;
  spent : list N;
  waived : list N;
}.
Definition tree := list node.

Definition sum_lists (a b : list N) : list N := zip N.add a b.
(* What the budget lost from one state to the next. *)
Definition lost (s s' : state) : list N := zip N.sub (remaining s) (remaining s').
Definition nothing (s : state) : list N := repeat 0 (length (remaining s)).

Definition booked (n : node) (e : event) (s' : state) : node :=
  let s := now_at n in
  match e with
  | ECall _ _ | ECharge _ =>
    {| now_at := s'; parent := parent n; born_under := born_under n; spent := sum_lists (spent n) (lost s s'); waived := waived n |}
  | EAttenuate _ _ _ =>
    {| now_at := s'; parent := parent n; born_under := born_under n; spent := spent n; waived := sum_lists (waived n) (lost s s') |}
  | _ => {| now_at := s'; parent := parent n; born_under := born_under n; spent := spent n; waived := waived n |}
  end.

(* Session `i` of the tree has an event; a child becomes the last of the list. *)
Definition grow (t : tree) (i : nat) (e : event) : tree :=
  match nth_error t i with
  | None => t
  | Some n =>
    let (s', told) := step (now_at n) e in
    let moved := put i (booked n e s') t in
    match told with
    | Child c => moved ++ [{| now_at := c; parent := Some i; born_under := authority (now_at n); spent := nothing c; waived := nothing c |}]
    | _ => moved
    end
  end.
Fixpoint grown (t : tree) (es : list (nat * event)) : tree :=
  match es with [] => t | (i, e) :: rest => grown (grow t i e) rest end.
Definition root (s : state) : tree :=
  [{| now_at := s; parent := None; born_under := authority s; spent := nothing s; waived := nothing s |}].

(* Every list of amounts has the same length; C's are arrays of eight. *)
Definition width : nat := length all_budget.
Definition shaped_event (e : event) : Prop :=
  match e with
  | ECall _ c => length (cost c) = width
  | EAttenuate _ (Some l) _ => length l = width
  | ECharge l => length l = width
  | EDelegate _ share _ _ => length share = width
  | _ => True
  end.
Definition shaped (n : node) : Prop :=
  length (remaining (now_at n)) = width /\ length (spent n) = width /\ length (waived n) = width.

Definition holding (b : nat) (n : node) : N :=
  nth b (remaining (now_at n)) 0 + nth b (spent n) 0 + nth b (waived n) 0.
Definition total (b : nat) (t : tree) : N := fold_right (fun n sum => holding b n + sum) 0 t.

Lemma nth_zip : forall f a b i, length a = length b -> (i < length a)%nat ->
  nth i (zip f a b) 0 = f (nth i a 0) (nth i b 0).
Proof.
  induction a as [|x a IH]; intros [|y b] i L H; simpl in *; try lia. destruct i; auto. apply IH; lia.
Qed.

Lemma all_le_nth : forall a b, length a = length b -> all_le a b = true -> forall i, nth i a 0 <= nth i b 0.
Proof.
  induction a as [|x a IH]; intros [|y b] L H i; simpl in *; try discriminate; [destruct i; lia|].
  apply andb_true_iff in H as [P Q]. apply N.leb_le in P. destruct i; auto.
Qed.

Lemma total_app : forall b t u, total b (t ++ u) = total b t + total b u.
Proof. induction t; intros u; simpl; auto. rewrite IHt. lia. Qed.

Lemma total_put : forall b t i n m, nth_error t i = Some n ->
  total b (put i m t) + holding b n = total b t + holding b m.
Proof.
  induction t as [|x t IH]; intros i n m H; [destruct i; discriminate|]. destruct i; simpl in *.
  - injection H as ->. lia.
  - specialize (IH _ _ m H). lia.
Qed.

Lemma nth_nothing : forall s b, nth b (nothing s) 0 = 0.
Proof.
  intros s b. unfold nothing. generalize (length (remaining s)). intros n. revert b.
  induction n; intros [|b]; simpl; auto.
Qed.

Lemma total_fresh : forall b s p u,
  total b [{| now_at := s; parent := p; born_under := u; spent := nothing s; waived := nothing s |}] = nth b (remaining s) 0.
Proof.
  intros b s p u. unfold total, holding. cbn [fold_right now_at spent waived]. rewrite !nth_nothing. lia.
Qed.

Lemma after_width : forall s e, length (remaining s) = width -> length (remaining (after s e)) = width.
Proof.
  intros s e L. unfold after. destruct e as [now c|p limits id| |amounts|legs|now t|n|p share id pid]; cbn [step].
  - unfold step_call. cbn [fst]. destruct (answer _); auto. cbn. now rewrite length_zip.
  - cbn. destruct limits; auto. now rewrite length_zip.
  - exact L.
  - cbn. now rewrite length_zip.
  - exact L.
  - destruct (step_grant s t now) as [s'|] eqn:G; auto. apply step_grant_some in G as (_ & _ & _ & _ & _ & _ & i & _ & ->).
    exact L.
  - destruct (step_revoke s n) as [s'|] eqn:R; auto. apply step_revoke_some in R as (i & t & _ & _ & _ & ->). exact L.
  - destruct (step_delegate s p share id pid) as [[s' c]|] eqn:D; auto.
    apply step_delegate_some in D as (_ & _ & -> & _). cbn. now rewrite length_zip.
Qed.

(* What an event takes from a session, and where it goes. *)
Lemma booked_balance : forall n e b, shaped n -> shaped_event e -> (b < width)%nat ->
  holding b (booked n e (after (now_at n) e)) +
    match snd (step (now_at n) e) with Child c => nth b (remaining c) 0 | _ => 0 end = holding b n.
Proof.
  intros n e b (R & S & W) E B.
  pose proof (remaining_falls _ _ (after_ratchet (now_at n) e) b) as F.
  pose proof (after_width (now_at n) e R) as R'.
  assert (X : forall l, length l = width -> nth b (sum_lists l (lost (now_at n) (after (now_at n) e))) 0 =
    nth b l 0 + (nth b (remaining (now_at n)) 0 - nth b (remaining (after (now_at n) e)) 0)).
  { intros l L. unfold sum_lists, lost. rewrite nth_zip; [| rewrite length_zip; lia | lia].
    rewrite nth_zip by lia. reflexivity. }
  destruct e as [now c|p limits id| |amounts|legs|now t|k|p share id pid];
    unfold holding, booked; cbn [now_at spent waived]; rewrite ?X by assumption.
  - cbn [step]. unfold step_call. cbn [snd]. lia.
  - cbn [step snd]. lia.
  - cbn. lia.
  - cbn [step snd]. lia.
  - cbn. lia.
  - unfold after in *. cbn [step] in *. destruct (step_grant (now_at n) t now) as [s'|] eqn:G; cbn; [|lia].
    apply step_grant_some in G as (_ & _ & _ & _ & _ & _ & i & _ & ->). cbn. lia.
  - unfold after in *. cbn [step] in *. destruct (step_revoke (now_at n) k) as [s'|] eqn:G; cbn; [|lia].
    apply step_revoke_some in G as (i & t & _ & _ & _ & ->). cbn. lia.
  - unfold after in *. cbn [step] in *.
    destruct (step_delegate (now_at n) p share id pid) as [[s' c]|] eqn:D; cbn [fst snd]; [|lia].
    apply step_delegate_some in D as (_ & A & -> & ->). cbn [shaped_event] in E.
    cbn [with_remaining with_exposure begin remaining].
    pose proof (all_le_nth share (remaining (now_at n)) ltac:(lia) A b).
    rewrite nth_zip by lia. lia.
Qed.

Lemma in_put : forall (A : Set) (x y : A) l i, In y (put i x l) -> y = x \/ In y l.
Proof. induction l as [|z l IH]; intros [|i] H; simpl in *; intuition. destruct (IH _ H0); auto. Qed.

Lemma child_width : forall s e c, shaped_event e -> snd (step s e) = Child c -> length (remaining c) = width.
Proof.
  intros s e c E H. destruct e as [now k|p limits id| |amounts|legs|now t|n|p share id pid]; try discriminate; cbn [step] in H.
  - destruct (step_grant s t now); discriminate.
  - destruct (step_revoke s n); discriminate.
  - destruct (step_delegate s p share id pid) as [[s' d]|] eqn:D; [|discriminate].
    apply step_delegate_some in D as (_ & _ & _ & ->). injection H as <-. exact E.
Qed.

Lemma grow_shaped : forall t i e, Forall shaped t -> shaped_event e -> Forall shaped (grow t i e).
Proof.
  intros t i e F E. unfold grow. destruct (nth_error t i) as [n|] eqn:N; auto.
  assert (P : shaped n) by (rewrite Forall_forall in F; apply F; eapply nth_error_In; eauto).
  rewrite (surjective_pairing (step (now_at n) e)). fold (after (now_at n) e).
  assert (Q : Forall shaped (put i (booked n e (after (now_at n) e)) t)).
  { rewrite Forall_forall in *. intros m M. apply in_put in M as [->|M]; auto.
    destruct P as (R & S & W). pose proof (after_width (now_at n) e R) as R'.
    assert (L : forall l, length l = width -> length (sum_lists l (lost (now_at n) (after (now_at n) e))) = width).
    { intros l L. unfold sum_lists. now rewrite length_zip. }
    unfold shaped. destruct e; cbn [booked now_at spent waived]; auto. }
  destruct (snd (step (now_at n) e)) as [d| | |c] eqn:T; auto.
  apply Forall_app. split; auto. constructor; auto. apply child_width in T; auto.
  unfold shaped, nothing. cbn [now_at spent waived]. rewrite repeat_length. auto.
Qed.

Lemma grow_total : forall t i e b, Forall shaped t -> shaped_event e -> (b < width)%nat ->
  total b (grow t i e) = total b t.
Proof.
  intros t i e b F E B. unfold grow. destruct (nth_error t i) as [n|] eqn:N; auto.
  assert (P : shaped n) by (rewrite Forall_forall in F; apply F; eapply nth_error_In; eauto).
  rewrite (surjective_pairing (step (now_at n) e)). fold (after (now_at n) e).
  pose proof (booked_balance n e b P E B) as Q. pose proof (total_put b t i n (booked n e (after (now_at n) e)) N) as R.
  destruct (snd (step (now_at n) e)) as [d| | |c]; try lia.
  rewrite total_app, total_fresh. lia.
Qed.

(** T17. Budgets are conserved over the delegation tree: for each budget, what all sessions have left, have spent and have
    given up is at every time what the root began with. Nothing is copied. *)
Theorem budget_is_conserved : forall es s b, length (remaining s) = width -> Forall shaped_event (map snd es) ->
  (b < width)%nat -> total b (grown (root s) es) = nth b (remaining s) 0.
Proof.
  intros es s b L E B.
  assert (G : forall es t, Forall shaped t -> Forall shaped_event (map snd es) -> total b (grown t es) = total b t).
  { clear es E. induction es as [|[i e] es IH]; intros t T E; auto. cbn in E. inversion E; subst. cbn [grown].
    rewrite IH; auto using grow_shaped, grow_total. }
  rewrite G; auto.
  - apply total_fresh.
  - constructor; auto. unfold shaped, nothing. cbn. now rewrite repeat_length.
Qed.

(* T18 *)

Lemma child_policy_le : forall a p, depth a <> 0 ->
  child_policy a p <<= a /\ child_policy a p <<= p /\ depth (child_policy a p) < depth a.
Proof.
  intros a p Z. unfold child_policy. destruct (N.leb_spec (depth a) (depth (meet a p))) as [L|L].
  - assert (X : forall c, meet a p <<= c -> with_depth (meet a p) (depth a - 1) <<= c).
    { intros c H. apply le_fields in H. destruct H as [H1 H2 H3 H4 H5 H6 H7 H8]. apply le_fields.
      constructor; auto. cbn [with_depth depth]. lia. }
    repeat split; auto using meet_le_l, meet_le_r. cbn [with_depth depth]. lia.
  - repeat split; auto using meet_le_l, meet_le_r.
Qed.

(* How many delegations lie above a session. *)
Inductive generation (t : tree) : nat -> N -> Prop :=
| first_generation : forall i n, nth_error t i = Some n -> parent n = None -> generation t i 0
| next_generation : forall i n k g, nth_error t i = Some n -> parent n = Some k ->
    generation t k g -> generation t i (g + 1).

Record well_born (a : policy) (t : tree) (i : nat) (n : node) : Prop := WellBorn {
  below_birth : authority (now_at n) <<= born_under n;
  of_root : parent n = None -> born_under n = a;
  of_parent : forall k, parent n = Some k -> (k < i)%nat /\ exists m, nth_error t k = Some m /\
    born_under n <<= born_under m /\ depth (authority (now_at n)) < depth (born_under n) /\
    (parent m <> None -> depth (born_under n) < depth (born_under m));
}.
Definition well_born_tree (a : policy) (t : tree) : Prop :=
  forall i n, nth_error t i = Some n -> well_born a t i n.

Lemma nth_put_same : forall (A : Set) (x : A) l i, (i < length l)%nat -> nth_error (put i x l) i = Some x.
Proof. induction l as [|y l IH]; intros [|i] H; simpl in *; try lia; auto. apply IH. lia. Qed.
Lemma nth_put_other : forall (A : Set) (x : A) l i j, i <> j -> nth_error (put i x l) j = nth_error l j.
Proof. induction l as [|y l IH]; intros [|i] [|j] H; simpl; auto; congruence. Qed.

Lemma booked_same : forall n e s', parent (booked n e s') = parent n /\ born_under (booked n e s') = born_under n /\
  now_at (booked n e s') = s'.
Proof. intros n e s'. destruct e; auto. Qed.

(* A session that moved keeps its place in the tree. *)
Lemma put_parent : forall t i n m, nth_error t i = Some n -> parent m = parent n -> born_under m = born_under n ->
  forall k x, nth_error t k = Some x ->
    exists y, nth_error (put i m t) k = Some y /\ parent y = parent x /\ born_under y = born_under x.
Proof.
  intros t i n m N P U k x K. destruct (Nat.eq_dec i k) as [->|D].
  - rewrite nth_put_same by (apply nth_error_Some; congruence). rewrite N in K. injection K as <-. eauto.
  - rewrite nth_put_other by assumption. eauto.
Qed.

Lemma grow_well_born : forall a t i e, well_born_tree a t -> well_born_tree a (grow t i e).
Proof.
  intros a t i e W. unfold grow. destruct (nth_error t i) as [n|] eqn:N; auto.
  rewrite (surjective_pairing (step (now_at n) e)). fold (after (now_at n) e).
  destruct (booked_same n e (after (now_at n) e)) as (BP & BU & BN).
  set (moved := booked n e (after (now_at n) e)) in *.
  pose proof (put_parent t i n moved N BP BU) as Q.
  assert (L : (i < length t)%nat) by (apply nth_error_Some; congruence).
  assert (F : authority (now_at moved) <<= authority (now_at n)).
  { rewrite BN. apply after_ratchet. }
  assert (R : well_born_tree a (put i moved t)).
  { intros j m M. destruct (Nat.eq_dec i j) as [<-|D].
    - rewrite nth_put_same in M by assumption. injection M as <-. destruct (W _ _ N) as [A B C]. constructor.
      + rewrite BU. eapply le_trans; eauto.
      + rewrite BP, BU. auto.
      + rewrite BP, BU. intros k K. destruct (C k K) as (O & x & X & Y & Z & V). split; auto.
        destruct (Q k x X) as (y & P1 & P2 & P3). exists y. rewrite P2, P3. repeat split; auto.
        apply le_fields in F. pose proof (le_depth _ _ F). lia.
    - rewrite nth_put_other in M by assumption. destruct (W _ _ M) as [A B C]. constructor; auto.
      intros k K. destruct (C k K) as (O & x & X & Y & Z & V). split; auto.
      destruct (Q k x X) as (y & P1 & P2 & P3). exists y. rewrite P2, P3. auto. }
  destruct (snd (step (now_at n) e)) as [d| | |c] eqn:T; auto.
  assert (LP : length (put i moved t) = length t) by apply length_put.
  intros j m M. destruct (Nat.lt_ge_cases j (length (put i moved t))) as [J|J].
  - rewrite nth_error_app1 in M by assumption. destruct (R _ _ M) as [A B C]. constructor; auto.
    intros k K. destruct (C k K) as (O & x & X & Y). split; auto. exists x. split; auto.
    rewrite nth_error_app1; auto. apply nth_error_Some. congruence.
  - rewrite nth_error_app2 in M by assumption. destruct (j - length (put i moved t))%nat as [|r] eqn:E;
      [|destruct r; discriminate]. injection M as <-.
    destruct e as [now k|p limits id| |amounts|legs|now u|r|p share id pid]; cbn [step] in T; try discriminate.
    + destruct (step_grant (now_at n) u now); discriminate.
    + destruct (step_revoke (now_at n) r); discriminate.
    + destruct (step_delegate (now_at n) p share id pid) as [[s' c']|] eqn:D; [|discriminate].
      injection T as ->. apply step_delegate_some in D as (Z & _ & _ & ->).
      destruct (child_policy_le (authority (now_at n)) p Z) as (P1 & _ & P2).
      constructor; cbn [now_at born_under parent authority with_exposure begin]; auto; [discriminate|].
      intros k K. injection K as <-. split; [lia|]. exists moved.
      rewrite nth_error_app1 by lia. split; [apply nth_put_same; assumption|].
      destruct (W _ _ N) as [A B C]. rewrite BU, BP. repeat split; auto.
      intros V. destruct (parent n) as [k|] eqn:PK; [|congruence]. destruct (C k eq_refl) as (_ & x & _ & _ & O & _).
      exact O.
Qed.

Lemma grown_well_born : forall a es t, well_born_tree a t -> well_born_tree a (grown t es).
Proof. induction es as [|[i e] es IH]; intros t W; simpl; auto using grow_well_born. Qed.

Lemma root_well_born : forall s, well_born_tree (authority s) (root s).
Proof.
  intros s [|i] n H; [|destruct i; discriminate]. injection H as <-.
  constructor; auto using le_refl. discriminate.
Qed.

Lemma born_below_root : forall a t, well_born_tree a t -> forall i n, nth_error t i = Some n -> born_under n <<= a.
Proof.
  intros a t W i. induction i as [i IH] using (well_founded_induction lt_wf). intros n N.
  destruct (W _ _ N) as [_ B C]. destruct (parent n) as [k|] eqn:P; [|rewrite B; auto using le_refl].
  destruct (C k eq_refl) as (L & m & M & X & _). eapply le_trans; eauto.
Qed.

Lemma generations_cost_depth : forall a t, well_born_tree a t -> forall i g, generation t i g ->
  forall n, nth_error t i = Some n ->
  (parent n = None /\ g = 0) \/ (parent n <> None /\ depth (born_under n) + g <= depth a + 1 /\ 1 <= g).
Proof.
  intros a t W i g G. induction G as [i x X P|i x k g X P G IH]; intros n N.
  - rewrite X in N. injection N as <-. auto.
  - rewrite X in N. injection N as <-. right. split; [congruence|].
    destruct (W _ _ X) as [_ _ C]. destruct (C k P) as (L & m & M & Y & Z & V). destruct (IH m M) as [[A ->]|(A & B & D)].
    + split; [|lia]. pose proof (born_below_root a t W _ _ X) as E. apply le_fields in E. pose proof (le_depth _ _ E). lia.
    + specialize (V A). split; lia.
Qed.

(** T18. A child never has more than its parent had: at every depth of the tree and at all times its authority lies within
    what its parent held when it delegated, hence within every ancestor's and the root's; each delegation costs depth,
    so that no line of descent is longer than the root's depth; and a child begins with its parent's exposure. *)
Theorem child_within_parent :
  (forall s p share id pid s' child, step_delegate s p share id pid = Some (s', child) ->
     authority child <<= authority s /\ authority child <<= p /\ depth (authority child) < depth (authority s) /\
     exposure child = exposure s /\ no_tickets child /\ remaining child = share) /\
  (forall s es i n, nth_error (grown (root s) es) i = Some n ->
     authority (now_at n) <<= born_under n /\ born_under n <<= authority s /\
     forall k, parent n = Some k -> exists m, nth_error (grown (root s) es) k = Some m /\
       born_under n <<= born_under m /\ depth (authority (now_at n)) < depth (born_under n)) /\
  (forall s es i n g, nth_error (grown (root s) es) i = Some n -> generation (grown (root s) es) i g ->
     depth (authority (now_at n)) + g <= depth (authority s)).
Proof.
  assert (W : forall s es, well_born_tree (authority s) (grown (root s) es)).
  { intros s es. apply grown_well_born, root_well_born. }
  split; [|split].
  - intros s p share id pid s' child D. apply step_delegate_some in D as (Z & _ & _ & ->).
    destruct (child_policy_le (authority s) p Z) as (A & B & C).
    cbn [with_exposure begin authority exposure remaining]. repeat split; auto. apply begin_no_tickets with (i := pid) (l := share) (s := id) (p := p).
  - intros s es i n N. destruct (W s es _ _ N) as [A B C]. repeat split; auto.
    + eapply born_below_root; eauto.
    + intros k K. destruct (C k K) as (_ & m & M & X & Y & _). eauto.
  - intros s es i n g N G. destruct (W s es _ _ N) as [A B C].
    pose proof (le_depth _ _ (proj1 (le_fields _ _) A)) as D.
    destruct (generations_cost_depth _ _ (W s es) _ _ G n N) as [[P ->]|(P & Q & R)].
    + rewrite (B P) in D. lia.
    + destruct (parent n) as [k|] eqn:K; [|congruence]. destruct (C k eq_refl) as (_ & m & _ & _ & Y & _). lia.
Qed.

(* Narrowing a family: an attenuation or a lockdown of a session that all its descendants have as well. *)
Fixpoint below (steps : nat) (t : tree) (i j : nat) : bool :=
  Nat.eqb i j ||
  match steps with
  | O => false
  | S rest => match nth_error t j with
              | Some n => match parent n with Some k => below rest t i k | None => false end
              | None => false
              end
  end.
Definition belongs (t : tree) (i j : nat) : bool := below j t i j.
Fixpoint narrow_from (j : nat) (marked : nat -> bool) (e : event) (t : tree) : tree :=
  match t with
  | [] => []
  | n :: rest => (if marked j then booked n e (after (now_at n) e) else n) :: narrow_from (S j) marked e rest
  end.
Definition narrows (e : event) : bool := match e with EAttenuate _ _ _ | ELockdown => true | _ => false end.
Definition family_step (t : tree) (i : nat) (e : event) : tree :=
  if narrows e then narrow_from 0 (belongs t i) e t else grow t i e.
Fixpoint family_run (t : tree) (es : list (nat * event)) : tree :=
  match es with [] => t | (i, e) :: rest => family_run (family_step t i e) rest end.

(* Every child lies within its parent, as both are now. *)
Definition nested (t : tree) : Prop := forall j n k, nth_error t j = Some n -> parent n = Some k ->
  (k < j)%nat /\ exists m, nth_error t k = Some m /\ authority (now_at n) <<= authority (now_at m).

Lemma below_more : forall t i steps more j, (steps <= more)%nat -> below steps t i j = true -> below more t i j = true.
Proof.
  intros t i. induction steps as [|s IH]; intros more j L H; destruct more as [|m]; cbn [below] in *; try lia; auto.
  - rewrite orb_false_r in H. now rewrite H.
  - destruct (Nat.eqb i j); auto. cbn [orb] in *. destruct (nth_error t j) as [n|]; auto.
    destruct (parent n) as [k|]; auto. apply IH; auto. lia.
Qed.

Lemma belongs_child : forall t i j n k, nth_error t j = Some n -> parent n = Some k -> (k < j)%nat ->
  belongs t i k = true -> belongs t i j = true.
Proof.
  unfold belongs. intros t i j n k N P L B. destruct j as [|j]; [lia|]. cbn [below]. rewrite N, P.
  rewrite (below_more t i k j k) by (auto; lia). apply orb_true_r.
Qed.

Lemma nth_narrow : forall marked e t b j, nth_error (narrow_from b marked e t) j =
  option_map (fun n => if marked (b + j)%nat then booked n e (after (now_at n) e) else n) (nth_error t j).
Proof.
  induction t as [|n t IH]; intros b j; [destruct j; reflexivity|]. destruct j as [|j]; cbn [narrow_from nth_error].
  - cbn [option_map]. now rewrite Nat.add_0_r.
  - rewrite IH. now replace (S b + j)%nat with (b + S j)%nat by lia.
Qed.

Lemma narrows_by_meet : forall e, narrows e = true ->
  exists q, forall s, authority (after s e) = meet (authority s) q.
Proof.
  intros e H. destruct e as [now c|p limits id| |amounts|legs|now t|n|p share id pid]; try discriminate.
  - exists p. reflexivity.
  - exists reading. reflexivity.
Qed.

Lemma authority_stays : forall e s, narrows e = false -> authority (after s e) = authority s.
Proof.
  intros e s H. unfold after. destruct e as [now c|p limits id| |amounts|legs|now t|n|p share id pid]; try discriminate; cbn [step].
  - unfold step_call. cbn [fst]. now destruct (answer (decide s c now)).
  - reflexivity.
  - reflexivity.
  - destruct (step_grant s t now) as [s'|] eqn:G; auto. apply step_grant_some in G as (_ & _ & _ & _ & _ & _ & i & _ & ->).
    reflexivity.
  - destruct (step_revoke s n) as [s'|] eqn:R; auto. apply step_revoke_some in R as (i & t & _ & _ & _ & ->). reflexivity.
  - destruct (step_delegate s p share id pid) as [[s' c]|] eqn:D; auto.
    apply step_delegate_some in D as (_ & _ & -> & _). reflexivity.
Qed.

Lemma meet_mono : forall a b q, a <<= b -> meet a q <<= meet b q.
Proof. intros a b q H. apply meet_glb; [exact (le_trans _ _ _ (meet_le_l a q) H) | apply meet_le_r]. Qed.

Lemma narrow_nested : forall t i e, narrows e = true -> nested t -> nested (narrow_from 0 (belongs t i) e t).
Proof.
  intros t i e E K j n k N P. destruct (narrows_by_meet e E) as [q Q]. rewrite nth_narrow in N. cbn [plus] in N.
  destruct (nth_error t j) as [x|] eqn:X; [|discriminate]. injection N as N.
  assert (PX : parent x = Some k).
  { destruct (belongs t i j); subst n; auto. now rewrite (proj1 (booked_same x e _)) in P. }
  destruct (K j x k X PX) as (L & m & M & A). split; auto.
  exists (if belongs t i k then booked m e (after (now_at m) e) else m). rewrite nth_narrow, M. split; auto.
  destruct (belongs t i k) eqn:B.
  - rewrite (belongs_child t i j x k X PX L B) in N. subst n.
    rewrite !(proj2 (proj2 (booked_same _ e _))), !Q. now apply meet_mono.
  - destruct (belongs t i j); subst n; auto. rewrite (proj2 (proj2 (booked_same _ e _))), Q.
    exact (le_trans _ _ _ (meet_le_l _ q) A).
Qed.

Lemma grow_nested : forall t i e, narrows e = false -> nested t -> nested (grow t i e).
Proof.
  intros t i e E K. unfold grow. destruct (nth_error t i) as [n|] eqn:N; auto.
  rewrite (surjective_pairing (step (now_at n) e)). fold (after (now_at n) e).
  destruct (booked_same n e (after (now_at n) e)) as (BP & _ & BN).
  set (moved := booked n e (after (now_at n) e)) in *.
  assert (A : authority (now_at moved) = authority (now_at n)) by (rewrite BN; now apply authority_stays).
  assert (L : (i < length t)%nat) by (apply nth_error_Some; congruence).
  (* A session that moved has the place and the authority that it had. *)
  assert (G : forall k x, nth_error t k = Some x -> exists y, nth_error (put i moved t) k = Some y /\
    parent y = parent x /\ authority (now_at y) = authority (now_at x)).
  { intros k x X. destruct (Nat.eq_dec i k) as [<-|D].
    - rewrite nth_put_same by assumption. rewrite N in X. injection X as <-. eauto.
    - rewrite nth_put_other by assumption. eauto. }
  assert (B : forall k y, nth_error (put i moved t) k = Some y -> exists x, nth_error t k = Some x /\
    parent x = parent y /\ authority (now_at x) = authority (now_at y)).
  { intros k y Y. destruct (Nat.eq_dec i k) as [<-|D].
    - rewrite nth_put_same in Y by assumption. injection Y as <-. exists n. auto.
    - rewrite nth_put_other in Y by assumption. eauto. }
  assert (R : nested (put i moved t)).
  { intros j y k Y P. destruct (B j y Y) as (x & X & PX & AX). rewrite <- PX in P.
    destruct (K j x k X P) as (O & m & M & H). split; auto. destruct (G k m M) as (z & Z & _ & AZ).
    exists z. split; auto. now rewrite <- AX, AZ. }
  destruct (snd (step (now_at n) e)) as [d| | |c] eqn:T; auto.
  intros j y k Y P. destruct (Nat.lt_ge_cases j (length (put i moved t))) as [J|J].
  - rewrite nth_error_app1 in Y by assumption. destruct (R j y k Y P) as (O & m & M & H). split; auto.
    exists m. split; auto. rewrite nth_error_app1; auto. apply nth_error_Some. congruence.
  - rewrite nth_error_app2 in Y by assumption. destruct (j - length (put i moved t))%nat as [|r] eqn:D;
      [|destruct r; discriminate]. injection Y as <-. cbn [parent now_at] in *. injection P as <-.
    rewrite length_put in J. split; [lia|]. exists moved. split; [rewrite nth_error_app1; rewrite ?length_put; auto;
      apply nth_put_same; assumption|].
    destruct e as [now q|p limits id| |amounts|legs|now u|r|p share id pid]; cbn [step] in T; try discriminate.
    + destruct (step_grant (now_at n) u now); discriminate.
    + destruct (step_revoke (now_at n) r); discriminate.
    + destruct (step_delegate (now_at n) p share id pid) as [[s' c']|] eqn:S; [|discriminate].
      injection T as ->. apply step_delegate_some in S as (Z & _ & _ & ->). rewrite A.
      apply child_policy_le, Z.
Qed.

(** T18. And where whoever narrows a session narrows all its descendants, every child lies within its parent as both are now, at
    all times. *)
Theorem narrowing_a_family : forall es s, nested (family_run (root s) es).
Proof.
  intros es s. assert (R : nested (root s)).
  { intros [|j] n k N P; [|destruct j; discriminate]. injection N as <-. discriminate. }
  revert R. generalize (root s). induction es as [|[i e] es IH]; intros t K; cbn [family_run]; auto.
  apply IH. unfold family_step. destruct (narrows e) eqn:E; auto using narrow_nested, grow_nested.
Qed.
