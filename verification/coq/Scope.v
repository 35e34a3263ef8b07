(* Scopes: policy/match, over patterns of which only this is known: which subjects each covers. A scope is a
   conjunction of clauses; a clause is `any`, written out, or a list of which one pattern must cover the subject,
   less what its deny list covers. No clause at all is nothing, not everything. *)
Require Import Arith NArith List Bool Lia.
Import ListNotations.

Section Scopes.

Context {pattern subject : Set} (covers : pattern -> subject -> bool).

Record clause : Set := Clause { any : bool; allow : list pattern; deny : list pattern }.
Definition scope : Set := list clause.

Definition some_covers (ps : list pattern) (x : subject) : bool := existsb (fun p => covers p x) ps.
Definition in_clause (c : clause) (x : subject) : bool :=
  (any c || some_covers (allow c) x) && negb (some_covers (deny c) x).
Definition inside_scope (s : scope) (x : subject) : bool :=
  match s with [] => false | _ => forallb (fun c => in_clause c x) s end.

(* Meet: append; but a side without a clause stays nothing. *)
Definition meet_scope (a b : scope) : scope :=
  match a, b with
  | [], _ => []
  | _, [] => []
  | _, _ => a ++ b
  end.
Definition everything : scope := [{| any := true; allow := []; deny := [] |}].
Definition nothing_at_all : scope := [].

(* The syntactic order, ScopeWithin of policy/narrow.cc: every clause of the larger scope is implied by a clause of
   the smaller one, whose patterns it all has and which denies what it denies. `subsumed p q` may be equality or
   any test that is right when it says yes. *)
Context (subsumed : pattern -> pattern -> bool).
Context (subsumed_covers : forall p q, subsumed p q = true -> forall x, covers p x = true -> covers q x = true).
Definition among (p : pattern) (ps : list pattern) : bool := existsb (subsumed p) ps.
Definition clause_leb (c d : clause) : bool :=
  (any d || (negb (any c) && forallb (fun p => among p (allow d)) (allow c)))
  && forallb (fun p => among p (deny c)) (deny d).
Definition scope_leb (a b : scope) : bool :=
  match a, b with
  | [], _ => true
  | _, [] => false
  | _, _ => forallb (fun d => existsb (fun c => clause_leb c d) a) b
  end.

Lemma inside_cons : forall c s x, inside_scope (c :: s) x = forallb (fun c => in_clause c x) (c :: s).
Proof. reflexivity. Qed.

Lemma meet_is_intersection : forall a b x, inside_scope (meet_scope a b) x = inside_scope a x && inside_scope b x.
Proof.
  intros [|c a] [|d b] x; auto.
  - cbn [meet_scope]. cbn [inside_scope]. now rewrite andb_false_r.
  - change (meet_scope (c :: a) (d :: b)) with ((c :: a) ++ d :: b).
    change (inside_scope ((c :: a) ++ d :: b) x) with (forallb (fun c => in_clause c x) ((c :: a) ++ d :: b)).
    now rewrite forallb_app.
Qed.

Lemma among_covers : forall p ps x, among p ps = true -> covers p x = true -> some_covers ps x = true.
Proof.
  intros p ps x A C. apply existsb_exists in A as (q & I & S). apply existsb_exists. exists q. split; auto.
  exact (subsumed_covers _ _ S x C).
Qed.

Lemma clause_leb_sound : forall c d x, clause_leb c d = true -> in_clause c x = true -> in_clause d x = true.
Proof.
  intros c d x L I. unfold clause_leb in L. unfold in_clause in *.
  apply andb_true_iff in L as [A D]. apply andb_true_iff in I as [J K]. apply andb_true_iff. split.
  - apply orb_true_iff in A as [A|A]; [now rewrite A|]. apply andb_true_iff in A as [N F].
    apply negb_true_iff in N. rewrite N in J. simpl in J. apply existsb_exists in J as (p & P & C).
    rewrite forallb_forall in F. rewrite (among_covers _ _ _ (F _ P) C). apply orb_true_r.
  - apply negb_true_iff. apply negb_true_iff in K. destruct (some_covers (deny d) x) eqn:E; auto.
    apply existsb_exists in E as (p & P & C). rewrite forallb_forall in D.
    now rewrite (among_covers _ _ _ (D _ P) C) in K.
Qed.

Lemma scope_leb_sound : forall a b x, scope_leb a b = true -> inside_scope a x = true -> inside_scope b x = true.
Proof.
  intros [|c a] [|d b] x L I; try discriminate.
  rewrite inside_cons in *. rewrite forallb_forall in I. apply forallb_forall. intros e E.
  unfold scope_leb in L. rewrite forallb_forall in L. specialize (L e E).
  apply existsb_exists in L as (f & F & S). eapply clause_leb_sound; eauto.
Qed.

(* A clause that another one implies takes nothing away. *)
Lemma idle_clause : forall c d s x, clause_leb c d = true ->
  inside_scope (c :: d :: s) x = inside_scope (c :: s) x.
Proof.
  intros c d s x L. rewrite !inside_cons. cbn [forallb]. destruct (in_clause c x) eqn:C; auto.
  now rewrite (clause_leb_sound c d x L C).
Qed.

End Scopes.

(** T3. A meet of scopes covers exactly what both cover; `any` covers everything, a scope without a clause and an empty
    allow list cover nothing; and the syntactic order between scopes is sound, whatever the
    patterns mean, so that dropping a clause which another one implies changes nothing. *)
Theorem scope_meet_is_intersection : forall (pattern subject : Set) (covers : pattern -> subject -> bool)
  (subsumed : pattern -> pattern -> bool),
  (forall p q, subsumed p q = true -> forall x, covers p x = true -> covers q x = true) ->
  (forall a b x, inside_scope covers (meet_scope a b) x = inside_scope covers a x && inside_scope covers b x) /\
  (forall x, inside_scope covers everything x = true) /\
  (forall a x, inside_scope covers (meet_scope a everything) x = inside_scope covers a x) /\
  (forall x, inside_scope covers nothing_at_all x = false) /\
  (forall d x, inside_scope covers [{| any := false; allow := []; deny := d |}] x = false) /\
  (forall a b x, scope_leb subsumed a b = true -> inside_scope covers a x = true ->
     inside_scope covers b x = true) /\
  (forall c d s x, clause_leb subsumed c d = true ->
     inside_scope covers (c :: d :: s) x = inside_scope covers (c :: s) x).
Proof.
  intros pattern subject covers subsumed subsumed_covers. repeat split; auto.
  - apply meet_is_intersection.
  - intros a x. rewrite meet_is_intersection. now rewrite andb_true_r.
  - intros a b x. now apply scope_leb_sound.
  - intros c d s x. now apply idle_clause.
Qed.

(* The mistake that this rules out: two scopes with nothing in common, whose meet would then mean everything. *)
Example disjoint_scopes_meet_in_nothing :
  let only n := [{| any := false; allow := [n]; deny := [] |}] in
  inside_scope Nat.eqb (only 1) 1 = true /\
  forallb (fun x => negb (inside_scope Nat.eqb (meet_scope (only 1) (only 2)) x)) [0; 1; 2; 3] = true.
Proof. vm_compute. auto. Qed.
