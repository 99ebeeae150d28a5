import { lazy, Suspense } from 'react';
import { Navigate, Route, Routes } from 'react-router';
import { CodePage } from './CodePage';
import { ProviderPage } from './ProviderPage';
import { ResetPage, ResetRequestPage } from './ResetPages';
import { SignInPage } from './SignInPage';
import { SignUpPage } from './SignUpPage';
import { VerifyPage } from './VerifyPage';

const SettingsPage = lazy(() => import('./SettingsPage'));

export default function AccountRoutes() {
  return (
    <Suspense fallback={null}>
      <Routes>
        <Route index element={<SettingsPage />} />
        <Route path="sign-in" element={<SignInPage />} />
        <Route path="sign-up" element={<SignUpPage />} />
        <Route path="code" element={<CodePage />} />
        <Route path="verify-email/:key" element={<VerifyPage />} />
        <Route path="password/reset" element={<ResetRequestPage />} />
        <Route path="password/reset/:key" element={<ResetPage />} />
        <Route path="provider/callback" element={<ProviderPage />} />
        {/* Aliases used in mails and by other software. */}
        <Route path="login" element={<Navigate to="/account/sign-in" replace />} />
        <Route path="signup" element={<Navigate to="/account/sign-up" replace />} />
        <Route path="*" element={<Navigate to="/account" replace />} />
      </Routes>
    </Suspense>
  );
}
